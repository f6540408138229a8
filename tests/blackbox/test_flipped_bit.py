#!/usr/bin/python3 -B
"""Damage in a store is never served: a read of a damaged or missing chunk fails with EIO.

Bits are flipped all over the packs of stores with every codec; then packs are cut short and deleted.
Whatever is read is right or an EIO, and the server's log names the chunk, its pack and its offset.
What is not damaged reads on. A copy that was found damaged is not trusted by dedup: the same bytes,
imported again, are whole, and heal the disk that had lost them.
"""

import os
import random
import re

import functions as f
from functions import nbd

CHUNKS = 24
FLIPS = 12
NAMED = re.compile(r"chunk ([0-9a-f]{64}) in pack ([0-9a-f]{16}) at offset (\d+)")


def contents(rng):
    """Chunks that compress and chunks that do not, all different, none zero."""
    words = [rng.randbytes(8) for _ in range(64)]
    return [rng.randbytes(f.CHUNK) if i % 2 else
            b"".join(rng.choices(words, k=f.CHUNK // 8)) for i in range(CHUNKS)]


def read_chunks(server):
    """Each chunk of the disk, or the error that reading it gives, on its own and in one block."""
    try:
        client = f.connected(server.uri)
    except nbd.Error as error:
        return [error] * CHUNKS
    found = []
    for i in range(CHUNKS):
        try:
            whole = bytes(client.pread(f.CHUNK, i * f.CHUNK))
            block = bytes(client.pread(f.BLOCK, i * f.CHUNK + 5 * f.BLOCK))
            assert block == whole[5 * f.BLOCK:6 * f.BLOCK]
            found.append(whole)
        except nbd.Error as error:
            found.append(error)
    return found


def damaged_chunks(chunks, when):
    """Reads the disk and gives the numbers of the chunks that fail, and where the log says they are:
    what does not fail must be right, and what fails must be an EIO that the log explains."""
    server = f.Nbdkit("disk=a")
    found = read_chunks(server)
    server.kill()
    failed = [i for i, chunk in enumerate(found) if not isinstance(chunk, bytes)]
    for i, chunk in enumerate(found):
        if i not in failed:
            assert chunk == chunks[i], f"{when}: chunk {i} is served with other bytes"
    named = NAMED.findall(server.logged())
    for i in failed:
        # Opening the disk fails where its root is damaged, which libnbd has no errno for.
        assert found[i].errno in ("EIO", None), f"{when}: {found[i]}"
    assert bool(failed) == bool(named), f"{when}: {len(failed)} fail, the log:\n{server.logged()}"
    return failed, named


def packs_of():
    packs = os.environ["CASDISK_STORE"] + "/packs"
    return sorted(os.path.join(packs, name) for name in os.listdir(packs))


def flip(path, at, bit):
    with open(path, "r+b") as pack:
        pack.seek(at)
        byte = pack.read(1)[0]
        pack.seek(at)
        pack.write(bytes([byte ^ 1 << bit]))


def flips(chunks, codec, rng):
    failures = set()
    for _ in range(FLIPS):
        pack = rng.choice(packs_of())
        at, bit = rng.randrange(4096, os.path.getsize(pack)), rng.randrange(8)
        flip(pack, at, bit)
        failed, named = damaged_chunks(chunks, f"{codec}: bit {bit} of byte {at} of {pack}")
        failures.update(failed)
        for _, pack_id, offset in named:
            assert f"{pack_id}.pack" == os.path.basename(pack), "the log names another pack"
            assert at - f.CHUNK - 4096 < int(offset) <= at, "the log names another offset"
        flip(pack, at, bit)  # as it was
    assert failures, f"{codec}: no flip hit anything"
    assert damaged_chunks(chunks, "undamaged again") == ([], [])
    print(f"{codec}: {FLIPS} flips, one at a time; {len(failures)} chunks were hit", flush=True)


def known_place(chunks):
    """codec none: the very chunk that was hit fails, and no other."""
    pack = packs_of()[0]
    with open(pack, "rb") as file:
        at = file.read().index(chunks[7])
    flip(pack, at + 3 * f.BLOCK + 17, 3)
    failed, named = damaged_chunks(chunks, "chunk 7")
    assert failed == [7], f"chunks {failed} fail, chunk 7 is damaged"
    assert len(set(named)) == 1 and at - 4096 < int(named[0][2]) < at, f"named: {named}"


def heals(chunks, image, name):
    """Dedup does not trust the copy that was found damaged: the same bytes once more are stored."""
    f.casdisk("import", image, name)
    client = f.connected(f.Nbdkit(f"disk={name}").uri)
    assert f.read_all(client) == b"".join(chunks)
    assert damaged_chunks(chunks, "healed") == ([], [])


def cut_short(chunks):
    """A pack's end is gone: what lay there fails, what lies before reads on."""
    pack = packs_of()[0]
    with open(pack, "rb") as file:
        content = file.read()
    os.truncate(pack, content.index(chunks[-1]) + 1000)
    assert damaged_chunks(chunks, "cut short")[0], "a pack is cut short and nothing fails"
    with open(pack, "wb") as file:  # zeros where the rest was, as after a crash of the machine
        file.write(content[:4096 * 3] + bytes(len(content) - 4096 * 3))
    assert damaged_chunks(chunks, "zeroed")[0], "a pack is zeroed and nothing fails"
    with open(pack, "wb") as file:
        file.write(content)
    assert damaged_chunks(chunks, "whole again") == ([], [])


def short(chunks, image):
    """Every pack lost its end and nobody has noticed yet: dedup does not trust what lay there."""
    for pack in packs_of():
        os.truncate(pack, 5000)
    heals(chunks, image, "short")


def deleted(chunks, image):
    for pack in packs_of():
        os.remove(pack)
    failed, _ = damaged_chunks(chunks, "the packs are gone")
    assert len(failed) == CHUNKS, f"only chunks {failed} fail without any pack"
    heals(chunks, image, "again")


def test():
    rng = random.Random(5)
    chunks = contents(rng)
    image = f"{f.tmp}/image"
    with open(image, "wb") as file:
        file.write(b"".join(chunks))
    for codec in ("none", "lz4", "zstd"):
        os.environ["CASDISK_STORE"] = f"{f.tmp}/{codec}"
        f.casdisk("init", "--codec", codec)
        f.casdisk("import", image, "a")
        flips(chunks, codec, rng)
        if codec == "none":
            cut_short(chunks)
            known_place(chunks)
            heals(chunks, image, "flipped")
        short(chunks, image)
        deleted(chunks, image)


test()
