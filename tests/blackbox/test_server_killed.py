#!/usr/bin/python3 -B
"""kill -9 of the server in a loop, under random writes, zeroes, trims, flushes and FUA with several in
flight on two connections: nothing that was acknowledged is lost, and of what was not acknowledged each
block is as before or as it was to be. Between some rounds the disk is checkpointed, and a checkpoint is
never touched by what comes later.

The seed is printed; CASDISK_SEED repeats a run up to the timing of the kills."""

import os
import random
import time

import functions as f
from functions import nbd

ROUNDS = int(os.environ.get("CASDISK_ROUNDS", "60"))
SIZE = (12 << 20) + 5000  # whole in neither chunks nor blocks
BLOCK = 4096
IN_FLIGHT = 8  # on each connection
seed = int(os.environ.get("CASDISK_SEED", random.SystemRandom().randrange(1 << 32)))
rng = random.Random(seed)
print(f"CASDISK_SEED={seed}", flush=True)


class Request:
    """A change under way: `after` is what its range will hold."""

    def __init__(self, kind, offset, after):
        self.kind, self.offset, self.after = kind, offset, after
        self.end = offset + len(after)
        self.buffer = None  # libnbd writes from it until it is answered
        self.acknowledged = False


class Client:
    """A connection with up to IN_FLIGHT changes under way."""

    def __init__(self, uri, disk):
        self.h, self.disk, self.flying, self.alive = f.connected(uri), disk, [], True

    def submit(self):
        kind = rng.choice(("write",) * 6 + ("zero", "zero", "trim", "flush"))
        fua = nbd.CMD_FLAG_FUA if rng.random() < 0.1 else 0
        if kind == "flush":
            self.h.aio_flush(completion=lambda error: 1)
            return
        length = rng.choice((1, 512, BLOCK, BLOCK, BLOCK, 3 * BLOCK, rng.randrange(1, 70000),
                             rng.randrange(1, 300000)))
        offset = rng.randrange(SIZE - length)
        if length % BLOCK == 0 and rng.random() < 0.8:
            offset -= offset % BLOCK
        if self.disk.is_undecided(offset, offset + length):
            return  # two changes of one byte at the same time have no order to judge by
        request = Request(kind, offset, rng.randbytes(length) if kind == "write" else bytes(length))
        self.flying.append(request)
        self.disk.undecided.append(request)

        def done(error):
            self.flying.remove(request)
            if error.value == 0:
                self.disk.acknowledge(request)
            return 1

        if kind == "write":
            request.buffer = nbd.Buffer.from_bytearray(bytearray(request.after))
            self.h.aio_pwrite(request.buffer, offset, done, fua)
        elif kind == "zero":
            flags = fua | rng.choice((0, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO))
            self.h.aio_zero(length, offset, done, flags)
        else:
            self.h.aio_trim(length, offset, done, fua)

    def turn(self):
        """Takes what answers there are; False once the connection is dead."""
        try:
            self.h.poll(1)
        except nbd.Error:
            self.alive = False
        self.alive = self.alive and not self.h.aio_is_dead()
        return self.alive


class Disk:
    """What the disk must hold: `bytes`, except where an undecided request may or may not have happened."""

    def __init__(self):
        self.bytes, self.undecided = bytearray(SIZE), []

    def is_undecided(self, begin, end):
        return any(r.offset < end and begin < r.end for r in self.undecided)

    def acknowledge(self, request):
        request.acknowledged = True
        if request.kind == "trim":
            return  # zeros or what was there: seen when it is read
        self.undecided.remove(request)
        self.bytes[request.offset:request.end] = request.after

    def compare(self, found):
        """Judges the whole content, and takes it for true where it was open."""
        for request in self.undecided:
            at = request.offset
            while at < request.end:
                end = min(request.end, at - at % BLOCK + BLOCK)
                if found[at:end] == request.after[at - request.offset:end - request.offset]:
                    self.bytes[at:end] = found[at:end]
                at = end
        self.undecided.clear()
        if found != self.bytes:
            wrong = [i for i in range(0, SIZE, BLOCK) if found[i:i + BLOCK] != self.bytes[i:i + BLOCK]]
            raise AssertionError(f"{len(wrong)} blocks are wrong, the first at {wrong[0]}; seed {seed}")


def read_all(h):
    return h.pread(SIZE // 2, 0) + h.pread(SIZE - SIZE // 2, SIZE // 2)


f.casdisk("init")
f.casdisk("create", "a", "--size", str(SIZE))
disk = Disk()
checkpoints = {}
counts = {"acknowledged": 0, "open": 0}
for round_number in range(ROUNDS):
    server = f.Nbdkit("disk=a", *rng.choice(((), ("io=posix",), ("cache=1M",))))
    h = f.connected(server.uri)
    disk.compare(read_all(h))
    clients = [Client(server.uri, disk), Client(server.uri, disk)]
    end = time.monotonic() + rng.random() * 0.15
    submitted = 0
    while time.monotonic() < end:
        for client in clients:
            while len(client.flying) < IN_FLIGHT and rng.random() < 0.9:
                client.submit()
                submitted += 1
            assert client.turn(), server.logged()
    server.kill()
    for client in clients:
        while client.turn():
            pass
    still_open = sum(not r.acknowledged for r in disk.undecided)
    counts["acknowledged"] += submitted - still_open
    counts["open"] += still_open
    if round_number % 12 == 5:
        name = f"round{round_number}"
        f.casdisk("checkpoint", "a", name)
        view = f.Nbdkit(f"disk=a@{name}")
        checkpoints[name] = read_all(f.connected(view.uri))
        disk.compare(checkpoints[name])
        view.kill()

for name, content in checkpoints.items():
    view = f.Nbdkit(f"disk=a@{name}")
    assert read_all(f.connected(view.uri)) == content, f"checkpoint {name} changed; seed {seed}"
    view.kill()
server = f.Nbdkit("disk=a")
disk.compare(read_all(f.connected(server.uri)))
print(f"{ROUNDS} kills, {counts['acknowledged']} changes acknowledged and there, {counts['open']} open")
