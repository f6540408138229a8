#!/usr/bin/python3 -B
"""A fallback file on a device that fails now and then, and on one that is slow.

The file lies on nbdfuse over nbdkit's error and delay filters. While it fails, what only it has is EIO,
never zeros; what was written, zeroed or taken in is read as ever, and the log names the file. When it
works again so does the disk, without a restart, and what `ingest` could not take in it takes in. A slow
file delays only who needs it."""

import json
import os
import subprocess
import threading
import time

import functions as f
from functions import CHUNK, MIB
from tools.guest import Guest
from tools.small_file_system import SmallFileSystem

SIZE = 16 * MIB
DELAY_SECONDS = 2


class SickFile:
    """A raw image whose reads fail while `failing` is set, or wait."""

    def __init__(self, name, content, *filter_parameters):
        base = f"{f.tmp}/{name}"
        with open(base + ".raw", "wb") as file:
            file.write(content)
        self.trigger, folder = base + ".trigger", base + ".fuse"
        os.mkdir(folder)
        self.path = folder + "/disk"
        filters = [f"--filter={parameter.split('-')[0]}" for parameter in filter_parameters[:1]]
        socket = base + ".sock"
        f.Server(["nbdkit", "--foreground", "--exit-with-parent", "--unix", socket, *filters, "file",
                  base + ".raw", *(text.replace("TRIGGER", self.trigger) for text in filter_parameters[1:])])
        f.wait_until(20, lambda: os.path.exists(socket), "nbdkit")
        self.fuse = subprocess.Popen(["nbdfuse", "--readonly", self.path, f"nbd+unix:///?socket={socket}"],
                                     stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     start_new_session=True)
        f.at_end.callback(self.unmount, folder)
        f.wait_until(20, lambda: os.path.exists(self.path), "nbdfuse")

    def unmount(self, folder):
        f.wait_until(20, lambda: f.succeeds("fusermount3", "-u", folder), "fusermount3")
        self.fuse.wait(20)

    def fail(self):
        with open(self.trigger, "w"):
            pass
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("1")

    def work(self):
        os.remove(self.trigger)


def expect(client, content, chunk):
    assert bytes(client.pread(CHUNK, chunk * CHUNK)) == content[chunk * CHUNK:(chunk + 1) * CHUNK], chunk


def test_errors():
    content = os.urandom(SIZE)
    file = SickFile("errors", content, "error", "error-pread=EIO", "error-pread-rate=1",
                    "error-pread-file=TRIGGER")
    f.casdisk("create", "web", "--fallback", file.path)
    guest = Guest(SIZE)
    f.at_end.callback(guest.die)
    client = guest.client
    guest.write(5)
    guest.write(16 * 7, 16)
    client.zero(CHUNK, CHUNK * 9)
    expect(client, content, 30)
    f.wait_until(20, lambda: taken_in() > 1, "chunk 30 is taken in")  # and a page

    file.fail()
    guest.check("while the fallback fails")
    expect(client, content, 30)
    assert bytes(client.pread(CHUNK, CHUNK * 9)) == bytes(CHUNK)
    for _ in range(3):
        guest.fails("EIO", client.pread, CHUNK, CHUNK * 11)
        guest.fails("EIO", client.pread, 512, 7 * f.BLOCK)
        guest.fails("EIO", client.pwrite, b"torn", CHUNK * 12 + 77)
    guest.write(16 * 13, 16)
    guest.write(16 * 14 + 1)
    assert guest.flushed()
    assert file.path in guest.server.logged() and "nput/output error" in guest.server.logged()
    assert file.path in f.casdisk_fails(3, "ingest", "web")
    assert file.path in f.casdisk_fails(3, "export", "web", f.tmp + "/out.raw")
    # What has a torn chunk over it cannot be sealed, and waits.
    f.casdisk("checkpoint", "web", "later")
    assert file.path in f.casdisk_fails(3, "seal", "web", "--wait")

    file.work()
    expect(client, content, 11)
    guest.check("the fallback works again")
    f.casdisk("seal", "web", "--wait")
    f.casdisk("ingest", "web")
    file.fail()
    for chunk in (1, 2, 11, 12, 20, SIZE // CHUNK - 1):
        expect(client, content, chunk)
    guest.check("the fallback is not needed any more")
    guest.die()
    file.work()


def taken_in():
    """How many objects the store has."""
    return json.loads(f.casdisk("info", "--json"))["object_count"]


def test_delays():
    content = os.urandom(SIZE)
    file = SickFile("delays", content, "delay", f"rdelay={DELAY_SECONDS}")
    f.casdisk("create", "slow", "--fallback", file.path)
    guest = Guest(SIZE, lambda: f.Nbdkit("disk=slow"))
    f.at_end.callback(guest.die)
    guest.write(16 * 7, 16)
    waiting = f.connected(guest.server.uri)
    reader = threading.Thread(target=expect, args=(waiting, content, 40), daemon=True)
    began = time.monotonic()
    reader.start()
    time.sleep(0.2)
    while time.monotonic() < began + DELAY_SECONDS * 0.7:
        before = time.monotonic()
        guest.check("beside a read that waits")
        guest.write(16 * 3, 16)
        assert guest.flushed()
        assert time.monotonic() - before < DELAY_SECONDS / 2, "who does not need the file waited for it"
    assert reader.is_alive(), "nothing was slow"
    reader.join(60)
    assert not reader.is_alive()
    guest.check("at the end")


def test_full_store():
    """Taking in stops when the store is full, and goes on by itself when it is not."""
    f.requires_loop()
    f.requires("mkfs.ext4", "-V")
    disk = SmallFileSystem(64 * MIB)
    os.environ["CASDISK_STORE"] = f"{disk.path}/store"
    content = os.urandom(SIZE)
    with open(f.tmp + "/base.raw", "wb") as file:
        file.write(content)
    f.casdisk("init")
    f.casdisk("create", "web", "--fallback", file.name)
    disk.fill(leave_bytes=MIB)
    guest = Guest(SIZE)
    f.at_end.callback(guest.die)

    def pauses():
        for chunk in range(SIZE // CHUNK):
            expect(guest.client, content, chunk)
        return "ingestion pauses" in guest.server.logged() and "No space" in guest.server.logged()

    f.wait_until(20, pauses, "taking in finds the store full")
    disk.give_back()
    before = taken_in()
    f.wait_until(20, lambda: expect(guest.client, content, 50) or taken_in() > before + 1, "taking in goes on")
    guest.die()


def test():
    if os.getuid() != 0:
        f.skip("needs root")
    f.requires_fuse()
    f.casdisk("init")
    test_errors()
    test_delays()
    test_full_store()


test()
