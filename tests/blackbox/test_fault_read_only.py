#!/usr/bin/python3 -B
"""A store on a file system that is, or becomes, read-only: every command and server that starts says so and
what to do; a server that was there before gives the guest an error for what it can no longer keep,
goes on reading, and loses nothing that was acknowledged."""

import os
import subprocess

import functions as f
from functions import MIB
from tools.guest import Guest
from tools.small_file_system import SmallFileSystem

SIZE = 64 * MIB
READ_ONLY = ("EPERM", "EIO")  # the protocol has no EROFS


def expect_says(text, path):
    assert path in text and "read-only" in text.lower(), text
    assert "mount" in text, f"it does not say what to do: {text}"


def everything_refuses(store):
    for command in (("ls",), ("info",), ("info", "web"), ("log", "web"), ("checkpoint", "web", "x"),
                    ("fork", "web", "other"), ("create", "other", "--size", "1M"), ("rm", "web"),
                    ("seal", "web"), ("export", "web", f.tmp + "/out.raw"), ("serve", "web"),
                    ("serve", "web@before", "--read-only")):
        expect_says(f.casdisk_fails(3, *command), store)
    expect_says(f.casdisk_fails(3, "--store", os.path.dirname(store) + "/new", "init"), "new")


def test():
    f.requires_loop()
    f.requires("mkfs.ext4", "-V")
    disk = SmallFileSystem(192 * MIB)
    store = os.environ["CASDISK_STORE"] = f"{disk.path}/store"
    f.casdisk("init")
    f.casdisk("create", "web", "--size", SIZE)
    guest = Guest(SIZE)
    f.at_end.callback(guest.die)
    for number in range(0, 400, 7):
        guest.write(number, 3)
    assert guest.flushed()
    f.casdisk("checkpoint", "web", "before", "--wait")
    for number in range(0, 400, 11):
        guest.write(number, 2)
    assert guest.flushed()

    # Before the start.
    guest.die()
    disk.unmount()
    f.run("mount", "-o", "ro", disk.loop, disk.path)
    everything_refuses(store)
    disk.remount()
    guest.start()
    guest.check("mounted to write again")

    # Under a server, as ext4 does after an error of its device.
    guest.write(90, 5)
    assert guest.flushed()
    guest.die()
    disk.unmount()
    f.run("mount", "-o", "errors=remount-ro", disk.loop, disk.path)
    guest.start()
    guest.write(120, 5)
    assert guest.flushed()
    guest.write(140, 5)
    with open(f"/sys/fs/ext4/{os.path.basename(disk.loop)}/trigger_fs_error", "w") as trigger:
        trigger.write("casdisk's test")
    guest.check("read-only under the server")
    guest.fails(READ_ONLY, guest.client.pwrite, bytes(4096), SIZE - 4096)
    guest.fails(READ_ONLY, guest.client.pwrite, b"torn", SIZE // 2 + 5)
    guest.check("after writes that failed")
    expect_says(guest.server.logged(), store)
    guest.server.stop()
    disk.unmount()
    f.casdisk_fails(1, "ls")  # nothing is mounted: no store
    # A mount namespace that another process made meanwhile holds the file system as long as it lives.
    f.wait_until(60, lambda: subprocess.run(["e2fsck", "-fy", disk.loop], capture_output=True).returncode in (0, 1),
                 "e2fsck of a file system that nobody has mounted")
    disk.mount()
    guest.blocks = {number: content for number, content in guest.blocks.items() if not 140 <= number < 145}
    guest.start()
    guest.check("repaired and mounted to write again")
    guest.write(17, 4)
    assert guest.flushed()
    f.casdisk("checkpoint", "web", "after", "--wait")
    guest.check("at the end")


test()
