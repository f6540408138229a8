#!/usr/bin/python3 -B
"""detach: clients with 16 requests in flight that reconnect lose nothing, 20 times over; the clients of
another disk of the same server notice nothing as long as theirs are known apart."""

import json
import threading
import time

import functions as f
from functions import nbd

ROUNDS = 20
IN_FLIGHT = 16
BLOCKS = 256

f.casdisk("init")
for disk in ("a", "b"):
    f.casdisk("create", disk, "--size", "16M")


class Reconnecting(threading.Thread):
    """Writes block after block, IN_FLIGHT at once, and comes back when the connection ends. Keeps what was
    acknowledged for each block, and what may have been written since."""

    def __init__(self, uri):
        super().__init__(daemon=True)
        self.uri, self.round, self.connections, self.end, self.failure = uri, 0, 0, False, None
        self.acknowledged, self.sent = [0] * BLOCKS, [0] * BLOCKS
        self.start()

    def run(self):
        try:
            while not self.end:
                h = f.connected(self.uri)
                self.connections += 1
                try:
                    while not self.end:
                        self.write_some(h)
                except nbd.Error as error:
                    assert h.aio_is_dead() or h.aio_is_closed(), f"an error instead of an end: {error}"
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def write_some(self, h):
        self.round += 1
        start = self.round * IN_FLIGHT % BLOCKS
        commands = []
        for block in range(start, start + IN_FLIGHT):
            data = nbd.Buffer.from_bytearray(bytearray(self.round.to_bytes(8, "little") * 512))
            self.sent[block] = self.round
            commands.append((block, h.aio_pwrite(data, block * 4096)))
        while commands:
            h.poll(-1)
            for block, cookie in list(commands):
                if h.aio_command_completed(cookie):
                    self.acknowledged[block] = self.round
                    commands.remove((block, cookie))

    def check(self):
        self.end = True
        self.join(30)
        assert self.failure is None, self.failure
        h = f.connected(self.uri)
        for block in range(BLOCKS):
            found = int.from_bytes(h.pread(8, block * 4096), "little")
            assert self.acknowledged[block] <= found <= self.sent[block], (
                block, self.acknowledged[block], found, self.sent[block])


def detach(disk):
    return json.loads(f.casdisk("--json", "detach", disk))


assert detach("a") == {"disk": "a", "client_count": 0, "detached_count": 0}
server = f.Serve("a")
writer = Reconnecting(server.uri)
for i in range(ROUNDS):
    before = writer.connections
    f.wait_until(20, lambda: writer.connections > i and writer.round > 20 * i, "writes")
    assert detach("a")["detached_count"] == 1
    f.wait_until(20, lambda: writer.connections > before, "another connection")
writer.check()
assert server.logged() == "", server.logged()  # neither errors nor another server
server.stop()

# One server of two disks: the clients come one after another, so each is known.
server = f.Nbdkit()
a, b = f.connected(server.export("a")), f.connected(server.export("b"))
more = f.connected(server.export("a"))
b.pwrite(b"b" * 4096, 0)
assert detach("a") == {"disk": "a", "client_count": 2, "detached_count": 2}
assert b.pread(4096, 0) == b"b" * 4096
for h in (a, more):
    try:
        h.pread(1, 0)
        raise SystemExit("FAIL: it is still connected")
    except nbd.Error:
        pass
assert json.loads(f.casdisk("--json", "status", "b"))["client_count"] == 1
f.connected(server.export("a")).pread(1, 0)
time.sleep(0.2)
assert server.process.poll() is None, server.logged()
