"""A small file system that fills up."""

import contextlib
import os

import functions as f

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
