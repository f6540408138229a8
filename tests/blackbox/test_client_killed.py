#!/usr/bin/python3 -B
"""A client that is killed with 32 requests in flight takes nothing from anybody, 20 times: its disk answers
again within a second with all that was acknowledged, and a client of another disk never notices.

Debian's nbdkit 1.32 aborts when that happens; `casdisk serve` starts it again."""

import os
import signal
import threading
import time

import functions as f
from functions import nbd

KILLS = 20
IN_FLIGHT = 32
PIECE = 64 << 10
MOST_SECONDS = 1.0
MARK = 512  # one for each round, beyond what the killed clients write

f.casdisk("init")
f.casdisk("create", "a", "--size", "64M")
f.casdisk("create", "b", "--size", "64M")
a, b = f.Serve("a"), f.Serve("b")


def rude_client():
    """Connects, has IN_FLIGHT requests under way and dies of kill -9."""
    def ask(h):
        data = nbd.Buffer.from_bytearray(bytearray(os.urandom(PIECE)))
        for i in range(IN_FLIGHT):
            if i % 2:
                h.aio_pread(nbd.Buffer(PIECE), i * PIECE)
            else:
                h.aio_pwrite(data, i * PIECE)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            answer(ask)  # the server may still be dying of the client before this one
        finally:
            os._exit(1)  # the cleaning up is the parent's
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the rude client got no connection\n{a.logged()}"


class Bystander(threading.Thread):
    """Writes and reads the other disk all the time; keeps the slowest answer and the first failure."""

    def __init__(self):
        super().__init__(daemon=True)
        self.count, self.slowest, self.failure, self.end = 0, 0.0, None, False

    def run(self):
        try:
            h = f.connected(b.uri)
            while not self.end:
                begin = time.monotonic()
                data = self.count.to_bytes(8, "little") * 512
                offset = self.count % 1000 * 4096
                h.pwrite(data, offset)
                if h.pread(4096, offset) != data:
                    raise AssertionError("the other disk's bytes changed")
                self.slowest = max(self.slowest, time.monotonic() - begin)
                self.count += 1
        except Exception as failure:  # for the main thread to report
            self.failure = failure


def answer(request):
    """The request's result on a new connection, as often as it takes, and the seconds until then."""
    begin = time.monotonic()
    while True:
        try:
            return request(f.connected(a.uri)), time.monotonic() - begin
        except nbd.Error as error:
            assert time.monotonic() - begin < 20, error


bystander = Bystander()
bystander.start()
first_server_of_b = b.nbdkit_pid()
marks = bytearray()
worst = 0.0
for i in range(KILLS):
    rude_client()
    mark, at = os.urandom(MARK), (32 << 20) + i * MARK
    _, seconds = answer(lambda h: h.pwrite(mark, at))
    worst = max(worst, seconds)
    assert seconds < MOST_SECONDS, f"round {i}: {seconds:.2f} s\n{a.logged()}"
    marks += mark
    # Again on a connection of its own: the server may die of the rude client only now.
    found, _ = answer(lambda h: h.pread(len(marks), 32 << 20))
    assert found == marks, f"round {i}: an acknowledged write is gone"

bystander.end = True
bystander.join()
restarts = a.logged().count("starting it again")
print(f"{KILLS} clients killed, {restarts} servers died of it, slowest answer {worst:.3f} s; the other "
      f"disk's client: {bystander.count} rounds, slowest {bystander.slowest:.3f} s")
assert bystander.failure is None, bystander.failure
assert bystander.count > 0 and bystander.slowest < MOST_SECONDS
assert b.nbdkit_pid() == first_server_of_b and "starting it again" not in b.logged()
