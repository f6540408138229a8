#!/usr/bin/python3 -B
"""A full file system costs nothing that was acknowledged.

A store lies on a small file system of its own, which other files fill up. The guest's writes get
ENOSPC; all acknowledged ones stay readable, also by the next server, started while it is full. A flush
says whether it succeeded, and what one that succeeded covered is there after the file system was
mounted anew, when only flushed bytes count. Once there is space again everything works, without a
restart, and nothing that a failed flush was to cover is forgotten.
"""

import os
import random

import functions as f
from functions import CHUNK, MIB, nbd

DISK_BYTES = 512 * MIB
FILE_SYSTEM_BYTES = 128 * MIB
NO_SPACE = ("ENOSPC",)


class SmallFileSystem:
    def __init__(self):
        self.path, image = f"{f.tmp}/mnt", f"{f.tmp}/image"
        os.mkdir(self.path)
        with open(image, "wb") as file:
            file.truncate(FILE_SYSTEM_BYTES)
        f.run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", image)
        self.loop = f.run("losetup", "--find", "--show", image)
        f.at_end.callback(f.run, "losetup", "--detach", self.loop)
        self.mount()
        f.at_end.callback(self.unmount)
        self.filler = f"{self.path}/filler"

    def mount(self):
        f.run("mount", self.loop, self.path)

    def unmount(self):
        # A killed server's rings let go of their files in their own time.
        f.wait_until(10, lambda: f.succeeds("umount", self.path), "umount")

    def remount(self):
        self.unmount()
        self.mount()

    def fill(self, leave_bytes):
        """Another's file takes all the space but that much."""
        status = os.statvfs(self.path)
        take = status.f_bavail * status.f_frsize - leave_bytes
        with open(self.filler, "ab") as file:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, take)

    def give_back(self):
        os.remove(self.filler)


class Guest:
    """A client that remembers what was acknowledged."""

    def __init__(self):
        self.rng = random.Random(11)
        self.blocks = {}  # number: content
        self.start()

    def start(self):
        self.server = f.Nbdkit("disk=web")
        self.client = f.connected(self.server.uri)

    def die(self):
        self.server.kill()
        self.client = None

    def write(self, first, count=1):
        data = self.rng.randbytes(count * f.BLOCK)
        self.client.pwrite(data, first * f.BLOCK)
        for i in range(count):
            self.blocks[first + i] = data[i * f.BLOCK:(i + 1) * f.BLOCK]

    def write_until_full(self):
        """Chunks, then single blocks, all over the disk, until neither fits."""
        for count in (16, 1):
            for _ in range(FILE_SYSTEM_BYTES // f.BLOCK):
                first = self.rng.randrange(DISK_BYTES // CHUNK) * 16 + (16 - count) // 2
                try:
                    self.write(first, count)
                except nbd.Error as error:
                    assert error.errno in NO_SPACE, f"a write on a full file system: {error}"
                    # Nobody told it that any of this was written: it may be, or not.
                    for i in range(count):
                        self.blocks.pop(first + i, None)
                    break
            else:
                raise AssertionError("never full")

    def check(self, when):
        for number, content in self.blocks.items():
            found = bytes(self.client.pread(f.BLOCK, number * f.BLOCK))
            assert found == content, f"{when}: block {number} is not what was acknowledged"

    def flushed(self):
        """Flushes and gives whether it succeeded."""
        try:
            self.client.flush()
            return True
        except nbd.Error as error:
            assert error.errno in NO_SPACE, f"a flush on a full file system: {error}"
            return False


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
    disk = SmallFileSystem()
    os.environ["CASDISK_STORE"] = f"{disk.path}/store"
    f.casdisk("init")
    f.casdisk("create", "web", "--size", DISK_BYTES)
    guest = Guest()
    f.at_end.callback(guest.die)
    guest.write(0, 16)
    full_and_back(disk, guest)
    restart_while_full(disk, guest)
    checkpoint_while_full(disk, guest)


test()
