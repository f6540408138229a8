#!/usr/bin/python3 -B
"""Four servers and two loops of commands at work on one store: nobody gets an error but "busy", and
that only where a disk is shared by mistake; at the end every disk has all that was acknowledged and
every checkpoint is whole. CASDISK_SECONDS=60 for a longer run; CASDISK_SEED repeats one up to timing."""

import os
import random
import subprocess
import sys
import threading
import time

import functions as f
from functions import BLOCK, nbd

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
from numbered_writes import Writer  # noqa: E402

SECONDS = float(os.environ.get("CASDISK_SECONDS", "15"))
SERVERS, COMMANDS, BLOCKS = 4, 2, 1024
seed = int(os.environ.get("CASDISK_SEED", random.SystemRandom().randrange(1 << 32)))
rng = random.Random(seed)
print(f"CASDISK_SEED={seed}", flush=True)
end = time.monotonic() + SECONDS
errors, counts, counting = [], {}, threading.Lock()


def count(what):
    with counting:
        counts[what] = counts.get(what, 0) + 1


def casdisk(*arguments, busy=False, differs=False):
    done = subprocess.run([f.CASDISK, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120)
    count(arguments[0])
    expected = (4,) if busy else (0, 1) if differs else (0,)
    assert done.returncode in expected, f"{arguments}: status {done.returncode}: {done.stderr}"
    assert not busy or "busy" in done.stderr, done.stderr
    return done.stdout


def commands(number):
    """A user's day: checkpoints and forks of disks that are served, images in and out."""
    choose = random.Random(f"{seed}/{number}")
    image = f"{f.tmp}/image-{number}"
    with open(image, "wb") as file:
        file.write(choose.randbytes(3 << 20))
    turn = 0
    while time.monotonic() < end:
        turn += 1
        mine, source = f"x{number}-{turn}", f"d{choose.randrange(SERVERS)}"
        casdisk("checkpoint", source, mine)
        of_checkpoint = turn % 2 == 1
        casdisk("fork", f"{source}@{mine}" if of_checkpoint else source, mine)
        casdisk("checkpoint", mine, "first")
        # Both are sealed for it. A fork of the disk itself has what was written since.
        casdisk("diff", f"{source}@{mine}", f"{mine}@first", differs=not of_checkpoint)
        casdisk("import", image, "i" + mine)
        casdisk("export", "i" + mine, image + ".out")
        with open(image, "rb") as before, open(image + ".out", "rb") as after:
            assert before.read() == after.read()
        os.unlink(image + ".out")
        casdisk("rollback", mine, "first")
        casdisk("resize", mine, BLOCKS * BLOCK + turn * 1000)
        for listing in (("ls",), ("info",), ("log", source), ("status", source)):
            casdisk(*listing)
        casdisk("rm", source, busy=True)  # by mistake
        casdisk("rm", "i" + mine)
        casdisk("rm", mine)
        if turn % 3:
            casdisk("rm", f"{source}@{mine}")


def wrong_server():
    """Asks a server for a disk that another one has."""
    choose = random.Random(f"{seed}/wrong")
    while time.monotonic() < end:
        index = choose.randrange(SERVERS)
        try:
            f.connected(servers[(index + 1) % SERVERS].export(f"d{index}")).shutdown()
            raise AssertionError(f"d{index} is served twice")
        except nbd.Error:
            count("wrong server")
        time.sleep(0.05)


def guarded(body, *arguments):
    try:
        body(*arguments)
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


f.casdisk("init")
servers = [f.Nbdkit() for _ in range(SERVERS)]
writers = []
for i, server in enumerate(servers):
    f.casdisk("create", f"d{i}", "--size", BLOCKS * BLOCK)
    writers.append(Writer(0, BLOCKS))
    writers[-1].start(server.export(f"d{i}"), random.Random(rng.random()).randrange)
# Until each disk has its client it is nobody's mistake to have another.
f.wait_until(20, lambda: all(writer.position() > 0 for writer in writers), "the writers write")
threads = [threading.Thread(target=guarded, args=(commands, number)) for number in range(COMMANDS)]
threads.append(threading.Thread(target=guarded, args=(wrong_server,)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for writer in writers:
    writer.stop()
assert not errors, f"seed {seed}: {errors}"
for i, (server, writer) in enumerate(zip(servers, writers)):
    assert not writer.errors, writer.errors
    content = f.read_all(f.connected(server.export(f"d{i}")))
    assert writer.moment_of(content, writer.position(), writer.position()) is not None, f"d{i} has lost something"
    for line in server.logged().splitlines():
        assert "busy" in line or "is held by" in line, f"server {i} says: {line}"
print(f"{SECONDS:.0f} s: {sum(w.position() for w in writers)} writes, {counts}")
