#!/usr/bin/python3 -B
"""A hundred checkpoints of a disk that four clients write to as fast as they can: each one, opened
read-only, is the disk as it was at one moment of its command; so are the forks that are made meanwhile,
and the disk itself has everything in the end, for another server too.

CASDISK_SEED repeats a run up to the timing."""

import os
import random
import sys

import functions as f
from functions import BLOCK

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
from numbered_writes import Writer  # noqa: E402

CHECKPOINTS = int(os.environ.get("CASDISK_ROUNDS", "100"))
BLOCKS = 4096  # 16 MiB
seed = int(os.environ.get("CASDISK_SEED", random.SystemRandom().randrange(1 << 32)))
rng = random.Random(seed)
print(f"CASDISK_SEED={seed}", flush=True)

f.casdisk("init")
f.casdisk("create", "d", "--size", BLOCKS * BLOCK)
server = f.Nbdkit()
writers = [Writer(i * BLOCKS // 4, BLOCKS // 4) for i in range(4)]
for writer in writers:
    writer.start(server.export("d"), random.Random(rng.random()).randrange)
taken = {}  # name: the writers' positions before and after
for i in range(CHECKPOINTS):
    before = [writer.position() for writer in writers]
    if i % 10 == 9:
        name = f"f{i}"
        f.casdisk("fork", "d", name)
    else:
        name = f"d@c{i}"
        f.casdisk("checkpoint", "d", f"c{i}", *(["--wait"] if i % 7 == 0 else []))
    taken[name] = (before, [writer.position() + 1 for writer in writers])
for writer in writers:
    writer.stop()
    assert not writer.errors, writer.errors

checked = 0
for name, (before, after) in taken.items():
    content = f.read_all(f.connected(server.export(name)))
    for writer, least, most in zip(writers, before, after):
        found = writer.moment_of(content, least, most)
        assert found is not None, f"{name} is not the disk between {least} and {most} writes"
        checked += 1
server.stop()
server = f.Nbdkit()
content = f.read_all(f.connected(server.export("d")))
for writer in writers:
    assert writer.moment_of(content, writer.position(), writer.position()) is not None
print(f"{len(taken)} checkpoints and forks during {sum(w.position() for w in writers)} writes, {checked} shares checked")
