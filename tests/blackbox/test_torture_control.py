#!/usr/bin/python3 -B
"""The control socket under garbage, lines that are huge, half or many in one piece, answers that nobody reads, and
thousands of connections: each costs its own connection at most. Meanwhile the commands work, the disk's
client is served, and nothing is left behind."""

import json
import os
import random
import socket
import time

import functions as f
from tools import nbd_wire as w
from tools.control_wire import ControlWire, note_of_lease, wait_for_socket
from tools.process_watch import ProcessWatch

SEED = int(os.environ.get("CASDISK_TORTURE_SEED", "1"))
TIMES = int(os.environ.get("CASDISK_TORTURE_TIMES", "1"))
GARBAGE, IN_SEQUENCE, CROWD = 300 * TIMES, 1500 * TIMES, 300
MOST_LINE = 64 << 10

rng = random.Random(SEED)
print(f"seed {SEED}")
store = os.environ["CASDISK_STORE"]
f.casdisk("init")
f.casdisk("create", "web", "--size", "16M")
server = f.Nbdkit("disk=web")
wait_for_socket(store)
client = w.connected(server.socket)


def others_are_served():
    assert "served by" in f.casdisk("status", "web")
    assert not client.call(w.WRITE, 0, 4096, w.FUA, rng.randbytes(4096)).error
    assert server.process.poll() is None, server.logged()


def sent(line):
    """A new connection that has sent this."""
    wire = ControlWire(store)
    try:
        wire.send(line)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server need not take all of it
    return wire


def refused(line):
    """Answered with an error, if at all, and the connection's end."""
    wire = sent(line)
    try:
        wire.socket.shutdown(socket.SHUT_WR)
        for reply in map(json.loads, wire.lines):
            assert "error" in reply, (line[:60], reply)
    except (ConnectionResetError, OSError):
        pass
    wire.close()


others_are_served()
honest = ControlWire(store)
watch = ProcessWatch(server.process.pid)
watch.wait_until_quiet()

# Garbage: bytes, and JSON that is not ours.
for i in range(GARBAGE):
    kind = i % 4
    if kind == 0:
        refused(rng.randbytes(rng.randrange(1, 5000)).replace(b"\n", b"") + b"\n")
    elif kind == 1:
        line = bytearray(b'{"id":1,"do":"fork","disk":"missing","new_disk":"x","labels":{"a":"b"}}')
        for _ in range(rng.randrange(1, 4)):
            line[rng.randrange(len(line))] = rng.randrange(1, 256)
        refused(bytes(line).replace(b"\n", b" ") + b"\n")
    elif kind == 2:
        value = rng.choice((None, True, -1, 1.5, "x" * 5000, [], {}, [[]] * 1000, 10 ** 30))
        field = rng.choice(("id", "do", "disk", "checkpoint", "labels", "attachments", "size_bytes", "wait", "what"))
        refused(json.dumps({"id": 1, "do": "resize", "disk": "missing", "size_bytes": 5, field: value}).encode() + b"\n")
    else:
        refused(rng.choice((b"[" * 60000, b'{"a":' * 10000, b"{" * 100, b"\0" * 1000, b'"' + b"\\u0000" * 9000)) + b"\n")
# Lines of the greatest length, and beyond it, with and without an end.
request = json.dumps({"id": 7, "do": "status", "disk": "web"})[:-1]
longest = request + " " * (MOST_LINE - len(request) - 2) + "}\n"
assert len(longest) == MOST_LINE and "ok" in (wire := sent(longest.encode())).reply()
wire.close()
refused(b" " + longest.encode())
for length in (MOST_LINE, 1 << 20, 8 << 20):
    refused(b"x" * length)
# Lines that are cut off anywhere, the rest late or never.
line = request.encode() + b"}\n"
halves = []
for cut in range(0, len(line), 3):
    sent(line[:cut]).close()
    halves.append((sent(line[:cut]), line[cut:]))
for wire, rest in halves:
    wire.send(rest)
    assert "ok" in wire.reply()
    wire.close()
others_are_served()
grown_mib = watch.check_given_back("garbage", most_memory_mib=64)

# Thousands of requests in one piece, read slowly, or not at all.
many = b"".join(json.dumps({"id": i, "do": "status", "disk": "web"}).encode() + b"\n" for i in range(3000))
slow, never = ControlWire(store), [ControlWire(store) for _ in range(5)]
slow.socket.settimeout(20)
slow.socket.sendall(many[:len(many) // 2])
for wire in never:
    wire.socket.settimeout(0.2)
    try:
        wire.socket.sendall(many)  # until nothing more is taken
    except (BlockingIOError, TimeoutError, BrokenPipeError, ConnectionResetError):
        pass
answered = 0
try:
    while (reply := slow.reply())["id"] == answered:
        answered += 1
        if answered % 100 == 0:
            time.sleep(0.01)
        if answered == 1499:
            break
except (json.JSONDecodeError, ConnectionResetError) as error:
    raise AssertionError(f"cut off after {answered} answers, though they were read") from error
assert answered == 1499, (answered, reply)
others_are_served()
for wire in (slow, *never):
    wire.close()

# Thousands of connections in sequence, and more at once than there is room for.
for i in range(IN_SEQUENCE):
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(20)
    run = os.open(store + "/run", os.O_RDONLY)
    wire.connect(f"/proc/self/fd/{run}/{note_of_lease(store)[1]}")
    os.close(run)
    if i % 2:
        assert wire.recv(10)
    wire.close()
crowd, told = [], 0
for _ in range(CROWD):
    crowd.append(ControlWire(store))
for wire in crowd:
    wire.socket.settimeout(0.05)
    try:
        told += wire.reply()["error"]["fault"] == "busy"
    except TimeoutError:
        pass
assert told >= CROWD - 64, told
assert "ok" in honest.ask(do="status", disk="web")  # whoever was there before is served
for wire in crowd:
    wire.close()
f.wait_until(20, lambda: "served by" in f.casdisk("status", "web"), "room for a command")
others_are_served()
grown_mib = watch.check_given_back("thousands of connections", most_memory_mib=64)
begin = time.monotonic()
assert "ok" in honest.ask(do="checkpoint", disk="web", checkpoint="last", wait=True)
honest.close()
client.close()
server.process.terminate()
server.process.wait(10)
print(f"{GARBAGE} lines of garbage, {IN_SEQUENCE + CROWD} connections; {grown_mib:.1f} MiB more than before; a "
      f"checkpoint and the end took {time.monotonic() - begin:.1f} s")
