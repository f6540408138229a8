#!/usr/bin/python3 -B
"""Two servers and a disk that nobody serves: a group checkpoint cuts all three at one moment, or none of
them. A server that is killed while a command waits is an error that says so, and the next try works."""

import json
import os
import subprocess
import threading
import time

import functions as f

ROUNDS = 8

f.casdisk("init")
for disk in ("a", "b", "c"):
    f.casdisk("create", disk, "--size", "64M")
f.casdisk("create", "big", "--size", "1G")
first, second = f.Nbdkit("disk=a"), f.Nbdkit()  # the second has b for as long as a client has

# Disks that nobody has written to yet, as on the first day of a machine.
f.casdisk("checkpoint", "a", "c", "--group", "blank")
for name in ("a@blank", "c@blank"):
    f.casdisk("export", name, f.tmp + "/out", "--force")
    with open(f.tmp + "/out", "rb") as file:
        assert not any(file.read(1 << 20)), name


class PairWriter(threading.Thread):
    """Writes n to disk a, then n to disk b: a is never behind b, and at most one ahead."""

    def __init__(self):
        super().__init__(daemon=True)
        self.a, self.b = f.connected(first.uri), f.connected(second.export("b"))
        self.count, self.end, self.failure = 0, False, None
        self.start()

    def run(self):
        try:
            while not self.end:
                data = (self.count + 1).to_bytes(8, "little") * 512
                self.a.pwrite(data, 0)
                self.b.pwrite(data, 0)
                self.count += 1
        except f.nbd.Error as error:
            self.failure = error


def value_of(name):
    f.casdisk("export", name, f.tmp + "/out", "--force")
    with open(f.tmp + "/out", "rb") as file:
        return int.from_bytes(file.read(8), "little")


writer = PairWriter()
for i in range(ROUNDS):
    begin = writer.count
    made = json.loads(f.casdisk("--json", "checkpoint", "a", "b", "c", "--group", f"g{i}",
                                *(["--wait"] if i % 2 else [])))
    assert made["held_us"] < 60000, made
    assert [c["labels"] for c in made["checkpoints"]] == [{"group": f"g{i}"}] * 3, made
    a, b = value_of(f"a@g{i}"), value_of(f"b@g{i}")
    assert begin <= b <= a <= b + 1, (begin, a, b)

# All or none: a name that one of them has already.
f.casdisk("checkpoint", "c", "taken")
assert "c@taken" in f.casdisk_fails(1, "checkpoint", "a", "b", "c", "--group", "taken")
for disk in ("a", "b"):
    f.casdisk_fails(1, "info", f"{disk}@taken")
f.casdisk_fails(2, "checkpoint", "a", "a", "--group", "twice")
f.casdisk_fails(2, "checkpoint", "a", "b", "c")

# A disk is served by one server; the other one says who.
try:
    f.connected(second.export("a"))
    raise SystemExit("FAIL: two servers have one disk")
except f.nbd.Error:
    assert f"held by pid {first.process.pid}" in second.logged(), second.logged()
assert writer.failure is None, writer.failure
writer.end = True
writer.join()

# kill -9 of the server while a command waits for a seal.
server = f.Nbdkit("disk=big")
h = f.connected(server.uri)
data = os.urandom(32 << 20)
for at in range(0, 256 << 20, 32 << 20):
    h.pwrite(at.to_bytes(8, "little") + data[8:], at)
    data = data[1:] + data[:1]
waiting = subprocess.Popen([f.CASDISK, "checkpoint", "big", "kept", "--wait"], stderr=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
f.wait_until(20, lambda: "kept" in f.casdisk("info", "big"), "a pending checkpoint")
assert waiting.poll() is None, "the seal was too quick for this test"
server.kill()
said = waiting.communicate(timeout=20)[1]
assert waiting.returncode == 3 and "ended before it answered" in said, (waiting.returncode, said)
# The checkpoint was made. Whoever comes next seals it: another server, in the background.
server = f.Nbdkit("disk=big")
f.wait_until(120, lambda: json.loads(f.casdisk("info", "big@kept", "--json"))["state"] == "kept", "the seal")

# A server that is told to end in the middle of a seal ends at once; nothing is lost.
h = f.connected(server.uri)
for at in range(0, 256 << 20, 32 << 20):
    h.pwrite(b"again" + at.to_bytes(8, "little") + data[13:], at)
f.casdisk("checkpoint", "big", "later")
h.shutdown()
time.sleep(0.1)
begin = time.monotonic()
server.process.terminate()
server.process.wait(10)
assert time.monotonic() - begin < 3, f"{time.monotonic() - begin:.1f} s to stop"
f.casdisk("export", "big@later", f.tmp + "/out", "--force")
with open(f.tmp + "/out", "rb") as file:
    assert file.read(5) == b"again"
