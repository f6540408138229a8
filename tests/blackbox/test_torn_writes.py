#!/usr/bin/python3 -B
"""Clients that share blocks do not lose each other's bytes.

A disk is cut into segments at odd places: many within one block, some of whole blocks, some across
chunks. Each belongs to one of several clients, which write, zero and trim in their segments at once.
In the end every byte is its owner's last one; also after kill -9, and after a checkpoint. The disks'
sizes are no multiples of a block or a chunk; below the writes lie zeros, sealed chunks or a fallback.
"""

import os
import random
import secrets
import threading
import time

import functions as f
from functions import nbd

CLIENTS = 6
SECONDS = 2.5
SEED = os.environ.get("CASDISK_SEED") or secrets.token_hex(4)


def segments(size, rng):
    """[begin, end) pieces that cover the disk."""
    at = 0
    while at < size:
        kind = rng.random()
        if kind < 0.6:
            end = at + rng.randrange(1, 3000)                     # torn
        elif kind < 0.85:
            end = (at // f.BLOCK + rng.randrange(1, 4)) * f.BLOCK  # up to a block's end
        else:
            end = at + rng.randrange(5000, 2 * f.CHUNK)
        end = min(max(end, at + 1), size)
        yield at, end
        at = end


class Client(threading.Thread):
    def __init__(self, connection, mine, content, until, seed):
        super().__init__(daemon=True)
        self.connection, self.mine, self.content, self.until = connection, mine, content, until
        self.rng, self.count, self.error = random.Random(seed), 0, None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.one(*self.rng.choice(self.mine))
                self.count += 1
        except Exception as error:  # reported by the thread that joins
            self.error = error

    def one(self, begin, end):
        rng = self.rng
        if rng.random() < 0.7:  # not all of the segment
            begin, end = sorted((rng.randint(begin, end - 1), rng.randint(begin + 1, end)))
            end = max(end, begin + 1)
        fua = nbd.CMD_FLAG_FUA if rng.random() < 0.01 else 0
        kind = rng.choices(("write", "zero", "trim", "read"), (60, 15, 10, 15))[0]
        if kind == "write":
            data = rng.randbytes(end - begin)
            self.connection.pwrite(data, begin, fua)
            self.content[begin:end] = data
        elif kind == "zero":
            self.connection.zero(end - begin, begin, fua)
            self.content[begin:end] = bytes(end - begin)
        elif kind == "trim":  # each byte of ours is zero or as before, and stays so
            self.connection.trim(end - begin, begin, fua)
            found = bytes(self.connection.pread(end - begin, begin))
            for now, before in zip(found, self.content[begin:end]):
                assert now in (0, before), f"trimmed bytes at {begin} are neither old nor zeros"
            self.content[begin:end] = found
        else:
            found = bytes(self.connection.pread(end - begin, begin))
            assert found == self.content[begin:end], f"bytes {begin} to {end} are not the last ones"


def same(found, content, when):
    if found == content:
        return
    at = next(i for i, (a, b) in enumerate(zip(found, content)) if a != b)
    lost = sum(a != b for a, b in zip(found, content))
    raise AssertionError(f"{when}: {lost} bytes are not their writer's last ones; the first at {at}")


def writers(disk, content, io, seed):
    """All clients on `disk`, which holds `content`; then what it holds, by every way to see it."""
    size = len(content)
    rng = random.Random(seed)
    server = f.Nbdkit(f"disk={disk}", f"io={io}")
    until = time.monotonic() + min(SECONDS, 0.5 + size / f.MIB * SECONDS)
    owned = [[] for _ in range(CLIENTS)]
    for number, segment in enumerate(segments(size, rng)):
        owned[number % CLIENTS].append(segment)
    clients = [Client(f.connected(server.uri), mine, content, until, f"{seed}/{i}")
               for i, mine in enumerate(owned) if mine]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
        assert not client.is_alive(), "a client hangs"
        if client.error:
            raise client.error
    same(f.read_all(f.connected(server.uri)), content, "all writers done")
    server.kill()
    server = f.Nbdkit(f"disk={disk}", f"io={io}")
    same(f.read_all(f.connected(server.uri)), content, "after kill -9")
    server.kill()
    f.casdisk("checkpoint", disk, "sealed")
    server = f.Nbdkit(f"disk={disk}", f"io={io}")
    same(f.read_all(f.connected(server.uri)), content, "after a seal")
    server.kill()
    print(f"{disk}: {size} bytes, io={io}: {sum(c.count for c in clients)} requests", flush=True)


def image(name, content):
    path = f"{f.tmp}/{name}.raw"
    with open(path, "wb") as file:
        file.write(content)
    return path


def test():
    print(f"CASDISK_SEED={SEED}", flush=True)
    rng = random.Random(SEED)
    f.casdisk("init")
    for size in (1, 511, 4097, 65535, 3 * f.CHUNK + 8192 + 1):
        f.casdisk("create", f"empty{size}", "--size", size)
        writers(f"empty{size}", bytearray(size), "auto", f"{SEED}/{size}")
    size = f.MIB + 777
    f.casdisk("create", "empty", "--size", size)
    writers("empty", bytearray(size), "posix", f"{SEED}/empty")
    content = bytearray(rng.randbytes(size))
    f.casdisk("import", image("sealed", content), "sealed")
    writers("sealed", content, "auto", f"{SEED}/sealed")
    content = bytearray(rng.randbytes(size))
    f.casdisk("create", "fallback", "--fallback", image("fallback", content))
    writers("fallback", content, "auto", f"{SEED}/fallback")


test()
