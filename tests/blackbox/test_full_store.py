#!/usr/bin/python3 -B
"""In a store that is full to the last byte whatever makes room goes on, and so does what needs little.

A guest writes until there is no space, then another program takes what is left. Flushes, checkpoints
of disks that did not change, rm and trims work all the same, on a reserve that is kept for them and
that guests' writes cannot take. When there is space again writes go on without a restart, and the
reserve is whole again.
"""

import os
import struct

import functions as f
from functions import MIB, nbd
from tools.guest import NO_SPACE, Guest
from tools.small_file_system import SmallFileSystem

DISK_BYTES = 512 * MIB


def trim(guest, offset, length):
    guest.client.trim(length, offset)
    for number in range(offset // f.BLOCK, (offset + length) // f.BLOCK):
        guest.blocks.pop(number, None)


class Reserve:
    def __init__(self, store):
        self.path = store + "/reserve"

    def is_in_use(self):
        with open(self.path, "rb") as file:
            return struct.unpack("<I", file.read(4))[0] != 0

    def missing_bytes(self):
        status = os.stat(self.path)
        return max(0, status.st_size - status.st_blocks * 512)


def fresh_chunk(guest):
    """The first block of a chunk that nobody wrote to."""
    return next(n for n in range(0, DISK_BYTES // f.BLOCK, 16)
                if not any(n + i in guest.blocks for i in range(16)))


def expect_no_space(guest, when):
    try:
        guest.client.pwrite(bytes([7]) * f.CHUNK, fresh_chunk(guest) * f.BLOCK)
    except nbd.Error as error:
        assert error.errno in NO_SPACE, f"{when}: {error}"
        return
    raise AssertionError(f"{when}: a write that takes space")


def fill(disk, guest, reserve):
    disk.fill(leave_bytes=40 * MIB)
    guest.write_until_full()
    disk.fill_to_the_last_byte()
    assert disk.free_bytes() < MIB, "it is not full"
    assert reserve.missing_bytes() == 0, "guests' writes took the reserve"
    guest.check("full to the last byte")


def what_goes_on(disk, guest, reserve):
    assert guest.flushed(), "no flush on a full store"
    guest.check("full and flushed")
    assert "other" in f.casdisk("ls")
    f.casdisk("checkpoint", "idle", "unchanged")
    assert reserve.is_in_use(), "there was space: the test shows nothing"
    print(f"on the reserve: {disk.free_bytes() >> 10} KiB are free", flush=True)
    expect_no_space(guest, "on the reserve")
    for number in list(guest.blocks)[:8]:
        guest.write(number)  # in place
    before = disk.free_bytes()
    trim(guest, 0, 32 * MIB)
    assert guest.flushed()
    assert disk.free_bytes() > before, "the trim freed nothing"
    f.casdisk("rm", "other")
    assert "other" not in f.casdisk("ls")
    guest.check("after what goes on")


def space_again(disk, guest, reserve):
    disk.give_back()
    guest.write(fresh_chunk(guest), 16)
    assert guest.flushed()
    assert not reserve.is_in_use() and reserve.missing_bytes() == 0, "the reserve is not back"
    guest.check("space again")


def mounted_anew(disk, guest):
    guest.die()
    disk.remount()
    guest.start()
    guest.check("mounted anew")


def test():
    f.requires_loop()
    f.requires("mkfs.ext4", "-V")
    disk = SmallFileSystem(192 * MIB)
    store = f"{disk.path}/store"
    os.environ["CASDISK_STORE"] = store
    f.casdisk("init")
    for name in ("web", "other", "idle"):
        f.casdisk("create", name, "--size", DISK_BYTES)
    client = f.connected(f.Nbdkit("disk=other").uri)
    client.pwrite(os.urandom(MIB), 0)
    client.shutdown()
    f.servers[-1].stop()
    f.casdisk("checkpoint", "idle", "first")
    guest = Guest(DISK_BYTES)
    f.at_end.callback(guest.die)
    reserve = Reserve(store)
    for _ in range(2):
        fill(disk, guest, reserve)
        what_goes_on(disk, guest, reserve)
        space_again(disk, guest, reserve)
        mounted_anew(disk, guest)
        f.casdisk("create", "other", "--size", DISK_BYTES)
        f.casdisk("rm", "idle@unchanged")
        trim(guest, DISK_BYTES // 2, 32 * MIB)


test()
