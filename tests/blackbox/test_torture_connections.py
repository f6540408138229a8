#!/usr/bin/python3 -B
"""Clients that vanish in the middle of a header, a payload or a reply, that never read, and thousands that come
one after the other and at once: others are served all the while, half a request changes nothing, nothing
that was acknowledged is lost, and descriptors, threads and memory are given back."""

import os
import random
import resource
import struct
import sys
import threading
import time

import functions as f
from tools import nbd_wire as w
from tools.block_model import BlockModel
from tools.process_watch import ProcessWatch

SEED = int(os.environ.get("CASDISK_TORTURE_SEED", "1"))
TIMES = int(os.environ.get("CASDISK_TORTURE_TIMES", "1"))  # of everything
IN_SEQUENCE, AT_ONCE, IN_HANDSHAKE = 600 * TIMES, 100, 1000
RUDE, IN_FLIGHT, RUDE_BYTES = 20 * TIMES, 32, 12 << 10
SIZE = 16 << 20
MOST_SECONDS = 5  # for an answer meanwhile; tests run beside this one

rng = random.Random(SEED)
print(f"seed {SEED}")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
if min(hard, 8192) < 4096:
    f.skip("needs 4096 descriptors: ulimit -Hn")
f.casdisk("init")
f.casdisk("create", "a", "--size", str(SIZE))
f.casdisk("create", "b", "--size", str(SIZE))


class Bystander(threading.Thread):
    """Writes and reads another disk; keeps the slowest answer and the first failure."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.count, self.slowest, self.failure, self.end = path, 0, 0.0, None, False
        self.start()

    def run(self):
        try:
            with w.connected(self.path, "b") as wire:
                while not self.end:
                    begin, at = time.monotonic(), self.count % 1000 * 4096
                    data = struct.pack(">Q", self.count) * 512
                    assert not wire.call(w.WRITE, at, 4096, 0, data).error
                    assert wire.call(w.READ, at, 4096).data == data
                    self.slowest = max(self.slowest, time.monotonic() - begin)
                    self.count += 1
                    time.sleep(0.002)
        except BaseException as failure:  # for the main thread
            self.failure = failure

    def stop(self):
        self.end = True
        self.join(30)
        assert not self.is_alive() and self.failure is None, self.failure
        assert self.count > 0 and self.slowest < MOST_SECONDS, (self.count, self.slowest)


def vanish_at_every_byte(path, base):
    """A write that is cut off anywhere is not carried out; one that is whole is, or is not."""
    data = rng.randbytes(4096)
    request = struct.pack(">IHHQQI", w.REQUEST, 0, w.WRITE, 1, base, 4096) + data
    with w.connected(path, "a") as honest:
        assert not honest.call(w.WRITE, base, 4096, 0, b"o" * 4096).error
        for cut in (*range(0, 30), *sorted(rng.sample(range(30, len(request)), 20)), len(request) - 1):
            with w.connected(path, "a") as wire:
                wire.send(request[:cut])
            assert honest.call(w.READ, base, 4096).data == b"o" * 4096, cut
        handshake = struct.pack(">I", 3) + w.IHAVEOPT + struct.pack(">II", w.OPT_GO, 7) + w.go_data("a")
        for cut in range(len(handshake)):
            with w.Wire(path) as wire:
                wire.send(handshake[:cut])


def vanish_in_replies(path):
    """One request each: nbdkit 1.32 dies of a client that leaves more behind, see rude_clients()."""
    for _ in range(20):
        with w.connected(path, "a") as wire:
            wire.request(w.READ, 0, 8 << 20)
            wire.receive(rng.randrange(1, 100000))
        with w.connected(path, "a") as wire:
            wire.request(rng.choice((w.READ, w.BLOCK_STATUS, w.TRIM, w.FLUSH, w.WRITE_ZEROES)), 8 << 20, 8192)


def never_read(path, bystander):
    """Clients that ask for megabytes and do not take them, for a second."""
    count = bystander.count
    lazy = [w.connected(path, "a") for _ in range(30)]
    for wire in lazy:
        wire.request(w.READ, 0, SIZE)
    time.sleep(1)
    assert bystander.count > count, "nobody else was served"
    for wire in lazy[::2]:
        reply = wire.reply()  # late, and whole
        assert not reply.error and len(reply.data) == SIZE
    for wire in lazy:
        wire.close()


def thousands(path, part=1):
    for i in range(IN_SEQUENCE // part):
        with w.connected(path, "a", structured=i % 2 == 0) as wire:
            assert not wire.call(w.READ, 0, 512).error
            if i % 3:
                wire.request(w.DISC)
    waiting = [w.Wire(path) for _ in range(IN_HANDSHAKE // part)]
    crowd = [w.connected(path, "a") for _ in range(AT_ONCE // part)]
    for wire in crowd:
        wire.request(w.READ, 4096, 4096)
    for wire in crowd:
        assert not wire.reply().error
    for wire in waiting[:20]:
        assert not wire.go("a").call(w.READ, 0, 4096).error
    for wire in crowd + waiting:
        wire.close()


def one_server():
    server = f.Nbdkit()
    bystander = Bystander(server.socket)
    f.wait_until(20, lambda: bystander.count > 0 or bystander.failure, "a first answer")
    vanish_in_replies(server.socket)  # what is made once is made
    watch = ProcessWatch(server.process.pid)
    watch.wait_until_quiet()
    steps = [("clients that vanish in their requests", lambda: vanish_at_every_byte(server.socket, 4 << 20)),
             ("clients that vanish in replies", lambda: vanish_in_replies(server.socket)),
             ("clients that do not read", lambda: never_read(server.socket, bystander)),
             ("some hundred connections", lambda: thousands(server.socket, part=3)),
             (f"{IN_SEQUENCE} connections, and {IN_HANDSHAKE + AT_ONCE} at once", lambda: thousands(server.socket))]
    for number, (what, step) in enumerate(steps):
        begin = time.monotonic()
        step()
        grown_mib = watch.check_given_back(what, most_memory_mib=100 if number < 4 else 32)
        print(f"{what}: {time.monotonic() - begin:.1f} s, {grown_mib:+.1f} MiB")
        watch.memory_kib = watch.now()[2]
        assert server.process.poll() is None, server.logged()
    bystander.stop()
    server.stop()
    return bystander.slowest


def rude_client(path, model, number):
    """Many requests under way, some acknowledged; then it is gone, in the middle of one maybe. Its blocks are
    its own: what it left in the socket may be carried out later."""
    wire = w.connected(path, "rude")
    begun, answered = {}, rng.randrange(IN_FLIGHT)
    for handle in range(IN_FLIGHT):
        at, length = (number * IN_FLIGHT + handle) * RUDE_BYTES, 4096 * rng.randrange(1, 4)
        data = rng.randbytes(length)
        begun[handle] = model.begin(at, data)
        if handle == IN_FLIGHT - 1 and rng.random() < 0.5:
            data = data[:rng.randrange(length)]
        wire.request(w.WRITE, at, length, 0, handle, data)
        if handle % 4 == 0:
            wire.request(w.READ, 0, 16 << 10, 0, 1000 + handle)
    for _ in range(answered):
        reply = wire.reply()
        assert not reply.error
        if reply.handle in begun:
            model.acknowledge(begun[reply.handle])
    for handle in range(4):  # answers that find nobody
        wire.request(w.READ, 0, 1 << 20, 0, 2000 + handle)
    wire.close()


def answer(path, request):
    """Of a new connection, as often as it takes: `casdisk serve` starts another server when one died."""
    end = time.monotonic() + 20
    while True:
        try:
            with w.connected(path, "rude") as wire:
                return request(wire)
        except (w.Closed, ConnectionError):
            assert time.monotonic() < end, "no answer"
            time.sleep(0.01)


def rude_clients():
    size = RUDE * IN_FLIGHT * RUDE_BYTES
    f.casdisk("create", "rude", "--size", str(size))
    serve = f.Serve("rude")
    path = serve.uri.split("socket=")[1]
    model = BlockModel(bytes(size))
    for number in range(RUDE):
        try:
            rude_client(path, model, number)
        except w.Closed:
            pass  # the server may die of an earlier one while it is at it
        content = answer(path, lambda wire: wire.call(w.READ, 0, size).data)
        complaints, _ = model.judge(content, power_failed=False)
        assert not complaints, (number, complaints[:5])
    return serve.logged().count("starting it again")


slowest = one_server()
died = rude_clients()
print(f"the slowest answer to another client took {slowest:.2f} s; of {RUDE} rude clients {died} servers died, "
      "and nothing acknowledged was lost")
sys.stdout.flush()
