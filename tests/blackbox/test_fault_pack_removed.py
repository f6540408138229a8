#!/usr/bin/python3 -B
"""A pack that is gone costs what lay in it, and that is never zeros: EIO, and the log names chunk and
pack. All else goes on: what was written since, whole chunks that are written, flushes, other disks. What
cannot be sealed stays pending. Once the pack is back everything is there."""

import json
import os
import random

import functions as f
from functions import CHUNK, MIB
from tools.guest import Guest

SIZE = 8 * MIB
NEEDED = 40  # a chunk that lies in the pack


def import_random(name):
    content = random.Random(name).randbytes(SIZE)
    with open(f"{f.tmp}/{name}.raw", "wb") as file:
        file.write(content)
    f.casdisk("import", file.name, name)
    return content


def read_chunks(client, content, chunks):
    for chunk in chunks:
        assert bytes(client.pread(CHUNK, chunk * CHUNK)) == content[chunk * CHUNK:(chunk + 1) * CHUNK], chunk


def expect_names(text, pack):
    assert pack in text and "chunk" in text and "gone" in text, text


def without_the_pack(guest, pack, other):
    guest.check("without the pack")
    guest.fails("EIO", guest.client.pread, CHUNK, NEEDED * CHUNK)
    guest.fails("EIO", guest.client.pread, 512, NEEDED * CHUNK)
    guest.fails("EIO", guest.client.pwrite, b"torn", NEEDED * CHUNK + 100)  # needs what was there
    guest.write((NEEDED + 1) * 16, 16)                                       # needs nothing
    guest.write((NEEDED + 2) * 16 + 3)
    assert guest.flushed()
    expect_names(guest.server.logged(), pack)
    f.casdisk("checkpoint", "web", "later")
    expect_names(f.casdisk_fails(3, "seal", "web", "--wait"), pack)
    expect_names(f.casdisk_fails(3, "export", "web@import", f.tmp + "/out.raw"), pack)
    assert not os.path.exists(f.tmp + "/out.raw")
    server = f.Nbdkit("disk=other")
    client = f.connected(server.uri)
    read_chunks(client, other, range(SIZE // CHUNK))
    client.shutdown()
    guest.check("after all that failed")


def states():
    return {each["name"]: each["state"] for each in json.loads(f.casdisk("log", "web", "--json"))["checkpoints"]}


def test():
    f.casdisk("init")
    content, other = import_random("web"), None
    packs = os.listdir(f.tmp + "/store/packs")
    assert len(packs) == 1
    pack = packs[0]
    other = import_random("other")
    guest = Guest(SIZE)
    guest.write(3)
    guest.write(5 * 16, 16)
    assert guest.flushed()
    guest.die()

    os.rename(f"{f.tmp}/store/packs/{pack}", f"{f.tmp}/{pack}")
    guest.start()
    without_the_pack(guest, pack.removesuffix(".pack"), other)
    assert states()["web@later"] == "pending", states()
    guest.die()

    os.rename(f"{f.tmp}/{pack}", f"{f.tmp}/store/packs/{pack}")
    guest.start()
    f.casdisk("seal", "web", "--wait")
    assert states()["web@later"] == "kept", states()
    guest.check("the pack is back")
    untouched = [chunk for chunk in range(SIZE // CHUNK) if chunk not in (0, 5, NEEDED + 1, NEEDED + 2)]
    read_chunks(guest.client, content, untouched)


test()
