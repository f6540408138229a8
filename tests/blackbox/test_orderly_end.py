#!/usr/bin/python3 -B
"""What was written is there after an orderly end of the server too, flushed or not, with its client gone
before or after, or in the middle of writing."""

import random
import signal

import functions as f
from functions import CHUNK, MIB, nbd

SIZE = 8 * MIB + 321
rng = random.Random(4)
content = bytearray(SIZE)
f.casdisk("init")
f.casdisk("create", "a", "--size", SIZE)


def write(h, count):
    for _ in range(count):
        length = rng.choice((1, 4096, 5000, CHUNK))
        at = rng.randrange(SIZE - length)
        data = rng.randbytes(length)
        h.pwrite(data, at)
        content[at:at + length] = data


def write_until_it_ends(h, server):
    """Blocks that no other write touches; gives how many were acknowledged."""
    for i in range(1, 1000000):
        if i == 50:
            server.process.send_signal(signal.SIGTERM)
        data = rng.randbytes(4096)
        at = i * 4096 % (SIZE // 4096 * 4096)
        before = bytes(content[at:at + 4096])
        content[at:at + 4096] = data
        try:
            h.pwrite(data, at)
        except nbd.Error:  # not acknowledged: either
            return i - 1, at, before
    raise AssertionError("the server does not end")


for number in range(6):
    server = f.Nbdkit("disk=a")
    h = f.connected(server.uri)
    assert f.read_all(h) == content, f"round {number}: not what was written before"
    write(h, 40)
    if number % 2:
        h.flush()
    if number < 3:
        h.shutdown()
    server.process.send_signal(signal.SIGINT if number == 1 else signal.SIGTERM)
    if number >= 3:  # nbdkit waits for a client that is idle
        h.shutdown()
    assert server.process.wait(10) == 0, server.logged()

server = f.Nbdkit("disk=a")
h = f.connected(server.uri)
count, at, before = write_until_it_ends(h, server)
del h
assert server.process.wait(10) == 0, server.logged()
h = f.connected(f.Nbdkit("disk=a").uri)
if bytes(h.pread(4096, at)) == before:
    content[at:at + 4096] = before
assert f.read_all(h) == content, "what was acknowledged until the end is not there"
print(f"{count} writes were acknowledged until the server ended")
