#!/usr/bin/python3 -B
"""A full file system costs nothing that was acknowledged.

A store lies on a small file system of its own, which other files fill up. The guest's writes get
ENOSPC; all acknowledged ones stay readable, also by the next server, started while it is full. A flush
says whether it succeeded, and what one that succeeded covered is there after the file system was
mounted anew, when only flushed bytes count. Once there is space again everything works, without a
restart, and nothing that a failed flush was to cover is forgotten.
"""

import os

import functions as f
from functions import MIB
from tools.guest import Guest
from tools.small_file_system import SmallFileSystem

DISK_BYTES = 512 * MIB
FILE_SYSTEM_BYTES = 128 * MIB


def full_and_back(disk, guest):
    """One server through a full file system and out of it."""
    disk.fill(leave_bytes=6 * MIB)
    guest.write_until_full()
    guest.check("full")
    print(f"full after {len(guest.blocks)} blocks; a flush succeeds: {guest.flushed()}", flush=True)
    guest.check("full and flushed")
    rewritten = list(guest.blocks)[:8]
    for number in rewritten:
        guest.write(number)  # in place, which needs no space
    freed = list(guest.blocks)[8:24]
    for number in freed:
        guest.client.trim(f.BLOCK, number * f.BLOCK)
        del guest.blocks[number]
    disk.give_back()
    guest.write(7)
    guest.write(DISK_BYTES // f.BLOCK - 32, 16)
    assert guest.flushed(), "there is space, and no flush"
    guest.check("space again")
    guest.die()
    disk.remount()  # now what is not in the journal never was
    guest.start()
    guest.check("mounted anew")


def restart_while_full(disk, guest):
    """A server that dies on a full file system, and the next one."""
    disk.fill(leave_bytes=3 * MIB)
    guest.write_until_full()
    guest.die()
    guest.start()
    guest.check("a new server on a full file system")
    flushed = guest.flushed()  # the first one of a server writes the whole map: here it may fail
    print(f"restarted while full; a flush succeeds: {flushed}", flush=True)
    if flushed:
        guest.die()
        disk.remount()
        guest.start()
        guest.check("flushed while full, mounted anew")
    disk.give_back()
    assert guest.flushed(), "there is space, and no flush"
    guest.die()
    disk.remount()
    guest.start()
    guest.check("flushed with space, mounted anew")


def checkpoint_while_full(disk, guest):
    """A checkpoint that does not fit is an error, loses nothing, and can be made later."""
    guest.die()
    disk.fill(leave_bytes=f.MIB)
    said = f.casdisk_fails(3, "checkpoint", "web", "full")
    assert "no space" in said.lower(), f"it says: {said}"
    guest.start()
    guest.check("after a checkpoint that failed")
    guest.die()
    disk.give_back()
    f.casdisk("checkpoint", "web", "fits")
    guest.start()
    guest.check("after a checkpoint")
    client = f.connected(f.Nbdkit().export("web@fits"))
    for number, content in guest.blocks.items():
        found = bytes(client.pread(f.BLOCK, number * f.BLOCK))
        assert found == content, f"the checkpoint: block {number}"
    client.shutdown()
    guest.write(99)
    assert guest.flushed()


def test():
    f.requires_loop()
    f.requires("mkfs.ext4", "-V")
    disk = SmallFileSystem(FILE_SYSTEM_BYTES)
    os.environ["CASDISK_STORE"] = f"{disk.path}/store"
    f.casdisk("init")
    f.casdisk("create", "web", "--size", DISK_BYTES)
    guest = Guest(DISK_BYTES)
    f.at_end.callback(guest.die)
    guest.write(0, 16)
    full_and_back(disk, guest)
    restart_while_full(disk, guest)
    checkpoint_while_full(disk, guest)


test()
