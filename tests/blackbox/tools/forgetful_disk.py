"""Machine: a mounted file system on a disk that forgets, for tests of power cuts.

    forgetful_plugin.cc ─ nbdfuse ─ loop device ─ ext4 or xfs ─ machine.path

A flush of the file system becomes an fsync of the loop device's file, then a flush of the disk.
up(), cut(seed), off(), up() again is a power cut: what was not flushed may be gone, block by block.
Needs root, loop devices and FUSE.
"""

import fcntl
import json
import os
import struct
import subprocess

import functions as f

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-K", "-s", "size=4096"],
}
FSCK = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"]}
# Metadata is written soon, so that a cut finds more than one commit.
MOUNT_OPTIONS = {"ext4": "commit=1", "xfs": "defaults"}


SHUTDOWN = 0x8004587D  # XFS_IOC_GOINGDOWN, which ext4 understands too
SHUTDOWN_WITHOUT_LOG_FLUSH = 2


def requires_machine(kind):
    f.requires_loop()
    f.requires_fuse()
    f.requires(MKFS[kind][0], "-V")


class Machine:
    def __init__(self, name, kind, size_bytes, lies=False):
        self.kind, self.lies = kind, lies
        base = f"{f.tmp}/{name}"
        self.image, self.fuse, self.path = f"{base}.image", f"{base}.fuse", f"{base}.mnt"
        self.server = self.fuse_process = self.loop = None
        self.mounted = False
        for folder in (self.fuse, self.path):
            os.mkdir(folder)
        with open(self.image, "wb") as image:
            image.truncate(size_bytes)
        f.run(*MKFS[kind], *(["-F"] if kind == "ext4" else []), self.image)

    def up(self):
        plugin = f"{f.TESTS_BUILD}/nbdkit-forgetful-plugin.so"
        self.server = f.Nbdkit(f"image={self.image}", f"lies={int(self.lies)}", plugin=plugin)
        f.at_end.callback(self.off)  # before the server ends
        # A session of its own: a signal to the test must not end it before it is unmounted.
        with open(f"{self.fuse}.log", "wb") as log:
            self.fuse_process = subprocess.Popen(
                ["nbdfuse", f"{self.fuse}/disk", self.server.uri], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        f.wait_until(20, lambda: os.path.exists(f"{self.fuse}/disk"), "nbdfuse's file")
        self.loop = f.run("losetup", "--find", "--show", "--sector-size=4096", f"{self.fuse}/disk")
        # Otherwise the file system would not flush: a cut would lose what it must not, or nothing at all.
        with open(f"/sys/block/{os.path.basename(self.loop)}/queue/write_cache") as cache:
            assert cache.read().strip() == "write back", "the loop device passes no flushes on"
        f.run("mount", "-t", self.kind, "-o", MOUNT_OPTIONS[self.kind], self.loop, self.path)
        self.mounted = True

    def cut(self, seed):
        """The power fails. What became of the blocks that were not flushed."""
        client = f.connected(self.server.export(f"cut:{seed}"))
        report = json.loads(bytes(client.pread(client.get_size(), 0)))
        client.shutdown()
        # The file system learns of it at once, instead of trying for minutes.
        try:
            folder = os.open(self.path, os.O_RDONLY)
        except OSError:
            return report  # it knows
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", SHUTDOWN_WITHOUT_LOG_FLUSH))
        finally:
            os.close(folder)
        return report

    def check(self):
        """After a clean unmount: the file system is whole."""
        self._unmount()
        f.run(*FSCK[self.kind], self.loop)

    def off(self):
        """Takes everything down, whatever state it is in. Whoever used the path is gone."""
        if self.mounted:
            self._unmount()
        if self.loop:
            f.run("losetup", "--detach", self.loop)
            self.loop = None
        if self.fuse_process:
            # The loop device lets go of the file in its own time.
            f.wait_until(20, lambda: f.succeeds("fusermount3", "-u", self.fuse), "no nbdfuse")
            self.fuse_process.wait(20)
            self.fuse_process = None
        if self.server:
            self.server.kill()
            self.server = None

    def remove(self):
        """Its image, when it is off for good."""
        os.remove(self.image)

    def _unmount(self):
        # A killed process's rings let go of their files in their own time.
        f.wait_until(60, lambda: f.succeeds("umount", self.path), f"umount {self.path}")
        self.mounted = False
