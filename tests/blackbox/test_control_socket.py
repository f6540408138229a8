#!/usr/bin/python3 -B
"""The control socket itself: found by the lease, ours alone, in stores with long paths too; wrong input
ends the connection that it comes from and nothing else; docs/CONTROL.md speaks the truth."""

import json
import os
import stat

import functions as f
from tools.control_wire import ControlWire, note_of_lease, wait_for_socket

# A path that no socket address has room for.
store = f.tmp + "/" + "/".join(["long-name-" * 8] * 3)
os.makedirs(store)
os.environ["CASDISK_STORE"] = store
f.casdisk("init")
f.casdisk("create", "web", "--size", "16M")
server = f.Nbdkit("disk=web")
run = os.open(store + "/run", os.O_RDONLY)

wait_for_socket(store)
pid, name = note_of_lease(store)
assert int(pid) == server.process.pid
mode = os.stat(name, dir_fd=run).st_mode
assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode)
assert stat.S_IMODE(os.fstat(run).st_mode) == 0o700

control = ControlWire(store)
assert control.greeting == {"casdisk": "control", "version": 1, "pid": server.process.pid}
assert control.ask(do="checkpoint", disk="web", checkpoint="one", wait=True)["ok"]["checkpoint"] == "one"
assert control.ask(do="checkpoint", disk="web", checkpoint="one")["error"]["fault"] == "exists"
assert control.ask(do="status", disk="web")["ok"]["status"]["size_bytes"] == 16 << 20
assert control.ask(do="status", disk="other")["error"]["fault"] == "not_found"
assert control.ask(do="dance", disk="web")["error"]["fault"] == "unsupported"
assert control.ask(do="flush", disk="../web")["error"]["fault"] == "invalid"
assert control.ask(do="flush", disk=["web"])["error"]["fault"] == "invalid"
hold = control.ask(do="hold", disk="web", at_most_ms=10 ** 15)["ok"]["hold"]
assert control.ask(do="release", disk="web", hold=hold)["ok"] == {}

# Requests that come together are answered in their order.
control.send(b"".join(json.dumps({"id": i, "do": "flush", "disk": "web"}).encode() + b"\n" for i in range(50)))
assert [control.reply()["id"] for _ in range(50)] == list(range(50))

for wrong in (b"\n", b"GET / HTTP/1.1\r\n", b"[1,2]\n", b"\xff\xfe\x00\n", b'{"id":1}\n', b'{"id":-1,"do":"flush"}\n',
              b"{" * 60000 + b"\n", b"x" * 65536):
    broken = ControlWire(store)
    broken.send(wrong)
    reply = broken.reply()
    assert reply["id"] == 0 and reply["error"]["fault"] == "invalid", (wrong[:20], reply)
    assert broken.is_closed()
half = ControlWire(store)
half.send(b'{"id":1,"do":"ro')
half.close()

# 64 connections; one more is told so.
crowd = []
while len(crowd) < 70:
    crowd.append(ControlWire(store))
    if len(crowd) < 60:
        continue
    crowd[-1].socket.settimeout(0.5)
    try:
        reply = crowd[-1].reply()
        break
    except TimeoutError:
        pass
assert reply["error"]["fault"] == "busy", reply
for one in crowd:
    one.close()
f.wait_until(10, lambda: "served by" in f.casdisk("status", "web"), "room for a command")

# Nobody else gets in. (The socket's mode keeps others out before the server looks who they are.)
if os.getuid() == 0:
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            ControlWire(store)
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "another user was let in"

# A server that stands still is an answer too, and one that died leaves nothing in the way.
server.process.send_signal(f.signal.SIGSTOP)
assert "does not answer" in f.casdisk_fails(4, "checkpoint", "web", "two")
assert "does not answer" in f.casdisk("status", "web")
server.kill()
assert os.path.exists(f"{store}/run/{name}")
f.casdisk("checkpoint", "web", "two")
server = f.Nbdkit("disk=web")
f.wait_until(10, lambda: "served by" in f.casdisk("status", "web"), "another server")
assert not os.path.exists(f"{store}/run/{name}"), "a dead server's socket"
server.stop()
assert [entry for entry in os.listdir(run) if entry.endswith(".control")] == []
