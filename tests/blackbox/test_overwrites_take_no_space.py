#!/usr/bin/python3 -B
"""Space is bounded by what is dirty and what checkpoints hold, not by what was ever written: overwriting
and flushing again and again leaks nothing, and a chunk that is overwritten as a whole is neither read
nor stored first."""

import os
import random

import functions as f
from functions import CHUNK, MIB

AREA = 4 * MIB
ROUNDS = 60
rng = random.Random(3)


def store_bytes():
    """What the store takes on its file system."""
    total = 0
    for folder, _, names in os.walk(os.environ["CASDISK_STORE"]):
        for name in names:
            total += os.stat(os.path.join(folder, name)).st_blocks * 512
    return total


def overwrite(h, rounds):
    for _ in range(rounds):
        for at in range(0, AREA, MIB):
            h.pwrite(rng.randbytes(MIB), at)
        h.flush()


f.casdisk("init")
f.casdisk("create", "a", "--size", 64 * MIB)
server = f.Nbdkit("disk=a")
h = f.connected(server.uri)
overwrite(h, 1)
once = store_bytes()
overwrite(h, ROUNDS)
many = store_bytes()
print(f"{AREA * ROUNDS >> 20} MiB written to {AREA >> 20} MiB: the store took {once >> 10} KiB, now {many >> 10}")
assert many < once + MIB, "overwriting leaks space"
h.trim(AREA, 0)
h.flush()
trimmed = store_bytes()
assert trimmed < once - AREA * 3 // 4, f"trimmed, and the store still takes {trimmed}"
h.shutdown()
server.stop()

# Over an image of the same size, whole chunks: what is below is neither needed nor kept.
with open(f.tmp + "/image", "wb") as image:
    image.write(rng.randbytes(AREA))
f.casdisk("create", "b", "--fallback", f.tmp + "/image")
server = f.Nbdkit("disk=b")
h = f.connected(server.uri)
before = store_bytes()
data = rng.randbytes(AREA)
for at in range(0, AREA, CHUNK):
    h.pwrite(data[at:at + CHUNK], at)
h.flush()
h.shutdown()
server.stop()
f.casdisk("checkpoint", "b", "overwritten")
took = store_bytes() - before
print(f"{AREA >> 20} MiB overwritten and sealed: {took >> 10} KiB")
assert took < AREA * 5 // 4, "what was overwritten as a whole was stored too"
os.remove(f.tmp + "/image")  # nothing of it is left to read
h = f.connected(f.Nbdkit("disk=b").uri)
assert f.read_all(h) == data
