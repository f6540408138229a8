#!/usr/bin/python3 -B
"""A store that is full to the last byte is made room in by rm and gc: first what is garbage alone, whose
space then takes the copies of what lives beside garbage. Afterwards guests' writes go on."""

import os

import functions as f
from functions import MIB
from tools.small_file_system import SmallFileSystem


def test():
    f.requires_loop()
    f.requires("mkfs.ext4", "-V")
    disk = SmallFileSystem(256 * MIB)
    os.environ["CASDISK_STORE"] = f"{disk.path}/store"
    f.casdisk("init")
    image = f.tmp + "/image.raw"
    with open(image, "wb") as file:
        file.write(os.urandom(20 * MIB))
    f.casdisk("import", image, "old")
    f.casdisk("create", "web", "--size", 64 * MIB)
    server = f.Nbdkit("disk=web")
    client = f.connected(server.uri)
    content = bytearray(64 * MIB)

    def write(offset, length):
        data = os.urandom(length)
        for at in range(0, length, MIB):
            client.pwrite(data[at:at + MIB], offset + at)
        content[offset:offset + length] = data

    write(0, 32 * MIB)
    client.flush()
    f.casdisk("seal", "web", "--wait")
    write(0, 20 * MIB)
    client.flush()
    f.casdisk("seal", "web", "--wait")  # its pack has now 20 MiB of garbage and 32 MiB that live
    disk.fill(leave_bytes=MIB)
    disk.fill_to_the_last_byte()
    assert disk.free_bytes() < MIB, "it is not full"
    f.casdisk("rm", "old")
    print(f.casdisk("gc", "--explain"), flush=True)
    print(f.casdisk("gc"), flush=True)
    after_first = disk.free_bytes()
    assert after_first > 15 * MIB, f"only {after_first >> 20} MiB are free"
    assert f.read_all(client) == content
    disk.give_back()
    print(f.casdisk("gc"), flush=True)
    packs = sum(entry.stat().st_size for entry in os.scandir(f"{disk.path}/store/packs"))
    assert packs < 34 * MIB, f"{packs >> 20} MiB of packs"
    write(40 * MIB, 16 * MIB)
    client.flush()
    f.casdisk("seal", "web", "--wait")
    assert f.read_all(client) == content
    client.shutdown()
    server.stop()
    disk.remount()
    out = f.tmp + "/out.raw"
    f.casdisk("export", "web", out)
    with open(out, "rb") as file:
        assert file.read() == content


test()
