"""A small file system that fills up, and a guest on a disk in it that remembers what was acknowledged."""

import contextlib
import os
import random

import functions as f
from functions import CHUNK, nbd

NO_SPACE = ("ENOSPC",)
MAX_WRITES = 32768


class SmallFileSystem:
    """ext4 on a loop device."""

    def __init__(self, size_bytes):
        self.path, image = f"{f.tmp}/mnt", f"{f.tmp}/image"
        os.mkdir(self.path)
        with open(image, "wb") as file:
            file.truncate(size_bytes)
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

    def free_bytes(self):
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_bytes):
        """Another's file takes all the space but that much."""
        take = self.free_bytes() - leave_bytes
        with open(self.filler, "ab") as file:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, take)

    def fill_to_the_last_byte(self):
        with open(self.filler, "ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(f.BLOCK)):
                    pass

    def give_back(self):
        os.remove(self.filler)


class Guest:
    """A client that remembers what was acknowledged."""

    def __init__(self, disk_bytes):
        self.disk_bytes = disk_bytes
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
            for _ in range(MAX_WRITES):
                first = self.rng.randrange(self.disk_bytes // CHUNK) * 16 + (16 - count) // 2
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
