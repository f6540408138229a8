#!/usr/bin/python3 -B
"""Clients of one disk see each other's writes as soon as they are acknowledged, also when several write
different bytes of the same block at the same time."""

import random
import threading

import functions as f

BLOCK = 4096
CLIENTS = 4
ROUNDS = 60

f.casdisk("init")
f.casdisk("create", "a", "--size", "16M")
server = f.Nbdkit("disk=a")
first, second = f.connected(server.uri), f.connected(server.uri)
assert first.can_multi_conn() and second.can_multi_conn()

rng = random.Random(1)
for i in range(300):
    writer, reader = (first, second) if i % 2 else (second, first)
    length = rng.choice((1, 512, 4096, 5000, 65536, 200000))
    offset = rng.randrange((16 << 20) - length)
    data = rng.randbytes(length)
    writer.pwrite(data, offset)
    assert reader.pread(length, offset) == data, (offset, length)
    writer.zero(length, offset)
    assert reader.pread(length, offset) == bytes(length)

# Each client owns every fourth strip of 100 bytes, so that all write into the same blocks; one of them
# also writes a whole block over and over that none of the others touches.
STRIP = 100
STRIPS = 64 * BLOCK // STRIP
model = [bytes(STRIP)] * STRIPS
failures = []


def own_strips(number):
    h, mine = f.connected(server.uri), random.Random(number)
    try:
        for _ in range(ROUNDS):
            for strip in mine.sample(range(number, STRIPS, CLIENTS), 10):
                data = mine.randbytes(STRIP)
                h.pwrite(data, strip * STRIP)
                model[strip] = data
                if h.pread(STRIP, strip * STRIP) != data:
                    failures.append((number, strip))
            h.flush()
    except f.nbd.Error as error:
        failures.append(error)


first.pwrite(bytes(STRIPS * STRIP), 0)
threads = [threading.Thread(target=own_strips, args=(i,)) for i in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures[:5]
assert second.pread(STRIPS * STRIP, 0) == b"".join(model)
