#!/usr/bin/python3 -B
"""verify names exactly what is damaged: each chunk, page and record, the disks and checkpoints that it
belongs to, and their ranges, whatever was done to the packs. Nothing is damage that a server, or a
command beside it, is just about to move, write or remove.
"""

import json
import os
import random
import subprocess
import threading

import functions as f
from tools import damage

CHUNKS = 40
STORE = os.environ["CASDISK_STORE"]


def verify(*arguments):
    """What verify says, and whether its exit code fits it."""
    done = subprocess.run([f.CASDISK, "verify", "--json", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode in (0, 3), f"status {done.returncode}: {done.stderr}"
    said = json.loads(done.stdout)
    assert said["clean"] == (done.returncode == 0), said
    return said


def ranges(said):
    """{volume: [(first chunk, chunks)]}"""
    return {volume["name"]: [(r["offset_bytes"] // f.CHUNK, r["length_bytes"] // f.CHUNK)
                             for r in volume["ranges"]] for volume in said["volumes"]}


class Kept:
    """The packs as they were, brought back at the end."""

    def __enter__(self):
        self.content = {path: damage.read(path) for path in damage.packs_of(STORE)}

    def __exit__(self, *_):
        for path, content in self.content.items():
            with open(path, "wb") as file:
                file.write(content)
        # What was flagged is whole again, and only stored anew where it is put again.
        assert verify()["clean"]


def make_disks(chunks):
    """a@import has all chunks; a has written chunk 5 anew, which a@later has too; b is a fork of it."""
    image = f"{f.tmp}/image"
    with open(image, "wb") as file:
        file.write(b"".join(chunks))
    f.casdisk("init", "--codec", "none")
    f.casdisk("import", image, "a")
    server = f.Nbdkit("disk=a")
    client = f.connected(server.uri)
    new = random.Random(2).randbytes(f.CHUNK)
    client.pwrite(new, 5 * f.CHUNK)
    client.flush()
    client.shutdown()
    server.stop()
    f.casdisk("checkpoint", "a", "later")
    f.casdisk("fork", "a@later", "b")
    return new


def single_bits(chunks, new):
    everyone = ("a", "a@import", "a@later", "b")
    for payload, wanted in ((chunks[7], {name: [(7, 1)] for name in everyone}),
                            (chunks[5], {"a@import": [(5, 1)]}),
                            (new, {name: [(5, 1)] for name in ("a", "a@later", "b")}),
                            (chunks[-1], {name: [(CHUNKS - 1, 1)] for name in everyone})):
        for spoil in (damage.Record.flip_payload, damage.Record.flip_header):
            with Kept():
                record = damage.record_of(STORE, payload)
                spoil(record)
                said = verify()
                assert ranges(said) == wanted, (ranges(said), wanted)
                assert [(d["id"], d["pack"], d["offset"], d["kind"]) for d in said["damaged"]] == \
                    [(record.id, record.pack, record.offset, "chunk")], said["damaged"]
                assert said["damaged"][0]["use_count"] == len(wanted)
    with Kept():
        damage.record_of(STORE, chunks[5]).flip_payload()
        assert verify("a@later")["clean"] and verify("b")["clean"]
        assert not verify("a@import")["clean"] and not verify("a")["clean"]


def pages_and_records():
    with Kept():
        pages = [record for record in damage.records(STORE) if record.kind == 2]
        assert len(pages) == 2  # a leaf each of a@import and a@later
        pages[0].flip_payload(50)
        assert ranges(verify()) == {"a@import": [(0, CHUNKS)]}
    with Kept():
        record = next(r for r in damage.records(STORE) if r.kind == 3 and b"later" in r.payload)
        record.flip_payload(3)
        said = verify()
        assert not said["volumes"] and [d["kind"] for d in said["damaged"]] == ["checkpoint record"]
        assert [use["name"] for use in said["damaged"][0]["uses"]] == ["a@later"]


def whole_packs(chunks):
    with Kept():  # cut off in the middle of a record
        record = damage.record_of(STORE, chunks[20])
        lost = {r.id for r in damage.records(STORE)
                if r.path == record.path and r.offset >= record.offset}
        os.truncate(record.path, record.offset + 1000)
        assert {d["id"] for d in verify()["damaged"]} == lost
    with Kept():  # gone
        path = damage.packs_of(STORE)[0]
        lost = {r.id for r in damage.records(STORE) if r.path == path}
        os.remove(path)
        said = verify()
        assert {d["id"] for d in said["damaged"]} == lost
        assert ranges(said)["a@import"] == [(0, CHUNKS)]  # its pages lay there too
        text = subprocess.run([f.CASDISK, "verify"], stdout=subprocess.PIPE, text=True).stdout
        assert "a@import: " in text and "more damaged objects" in text, text
    with Kept():  # two records have changed places
        one, other = sorted((damage.record_of(STORE, chunks[8]), damage.record_of(STORE, chunks[30])),
                            key=lambda record: record.offset)
        assert one.path == other.path
        content = damage.read(one.path)
        damage.write(one.path, content[:one.offset] + content[other.offset:other.end] +
                     content[one.end:other.offset] + content[one.offset:one.end] + content[other.end:])
        assert ranges(verify())["a"] == [(8, 1), (30, 1)]


def samples(chunks):
    assert verify("--sample", "10")["sample_of_chunk_count"] == 2 * CHUNKS
    said = verify("--sample", "100", "a")
    assert said["clean"] and said["sample_of_chunk_count"] is None
    with Kept():
        damage.record_of(STORE, chunks[12]).flip_payload()
        found = [not verify("--sample", "30%")["clean"] for _ in range(30)]
        assert any(found) and not all(found), found
    for wrong in ("0", "101", "x", "5x"):
        f.casdisk_fails(2, "verify", "--sample", wrong)
    f.casdisk_fails(1, "verify", "nobody")
    f.casdisk_fails(1, "verify", "a@nothing")


def beside_a_server():
    """Writes, checkpoints, seals and removals go on: verify finds no damage, whole or of the disk."""
    server = f.Nbdkit("disk=a")
    client = f.connected(server.uri)
    rng = random.Random(3)
    ended = threading.Event()

    def write():
        while not ended.is_set():
            client.pwrite(rng.randbytes(4 * f.BLOCK), rng.randrange(CHUNKS * 16 - 4) * f.BLOCK)

    def command():
        for i in range(1000):
            if ended.is_set():
                return
            f.casdisk("checkpoint", "a", f"c{i}", "--wait")
            f.casdisk("fork", f"a@c{i}", "fork")
            f.casdisk("rm", f"a@c{i}")
            f.casdisk("rm", "fork")

    threads = [threading.Thread(target=target) for target in (write, command)]
    for thread in threads:
        thread.start()
    try:
        for arguments in ((), ("a",), ("--sample", "50"), (), ("a@later",), ()):
            said = verify(*arguments)
            assert said["clean"], said
        assert any("held by pid" in note for note in said["notes"])
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    server.stop()


def test():
    rng = random.Random(1)
    chunks = [rng.randbytes(f.CHUNK) for _ in range(CHUNKS)]
    new = make_disks(chunks)
    said = verify()
    assert said["clean"] and said["volume_count"] == 4 and said["page_count"] == 2, said
    single_bits(chunks, new)
    pages_and_records()
    whole_packs(chunks)
    samples(chunks)
    beside_a_server()


test()
