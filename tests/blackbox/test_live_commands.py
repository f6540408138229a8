#!/usr/bin/python3 -B
"""Commands work on a disk while a client writes to it: checkpoint, fork, rollback, resize, export, diff,
status, attachments. Every checkpoint is the disk at one moment: what was acknowledged before is in it."""

import json
import os
import threading

import functions as f

SIZE = 16 << 20


class Writer(threading.Thread):
    """Writes blocks 1, 2, 3... round and round, each holding its number, until told to stop."""

    def __init__(self, uri):
        super().__init__(daemon=True)
        self.h, self.count, self.failure, self.end = f.connected(uri), 0, None, False
        self.start()

    def run(self):
        try:
            while not self.end:
                number = self.count + 1
                self.h.pwrite(number.to_bytes(8, "little") * 512, number % 1024 * 4096)
                self.count = number
        except f.nbd.Error as error:
            self.failure = error

    def stop(self):
        self.end = True
        self.join()
        assert self.failure is None, self.failure


def command(*arguments):
    return json.loads(f.casdisk("--json", *arguments))


def numbers(data):
    return [int.from_bytes(data[at:at + 8], "little") for at in range(0, 1024 * 4096, 4096)]


def check_is_one_moment(data, before, after):
    """Blocks hold the last 1024 numbers of some moment between the two."""
    last = max(numbers(data))
    assert before <= last <= after + 1, (before, last, after)
    for block, number in enumerate(numbers(data)):
        wanted = last - (last - block) % 1024
        assert number == max(wanted, 0), (block, number, wanted)


def exported(name, *options):
    f.casdisk("export", name, f.tmp + "/out", "--force", *options)
    with open(f.tmp + "/out", "rb") as file:
        return file.read()


f.casdisk("init")
f.casdisk("create", "web", "--size", SIZE)
server = f.Serve("web")
writer = Writer(server.uri)
f.wait_until(20, lambda: writer.count > 2000, "writes")

# Checkpoints, sealed and not; the guest goes on.
moments = {}
for i in range(10):
    before = writer.count
    made = command("checkpoint", "web", f"c{i}", *(["--wait"] if i % 2 else []))["checkpoint"]
    moments[f"c{i}"] = (before, writer.count)
    assert (made["id"] is not None) or not i % 2, made
for name, (before, after) in moments.items():
    check_is_one_moment(exported("web@" + name), before, after)
    assert command("info", "web@" + name)["state"] == "kept"
f.casdisk_fails(1, "checkpoint", "web", "c1")

# A fork, an export and a diff of the disk itself.
before = writer.count
f.casdisk("fork", "web", "copy")
after = writer.count
check_is_one_moment(exported("copy"), before, after)
f.casdisk("fork", "web", "larger", "--size", 2 * SIZE)
assert len(exported("larger")) == 2 * SIZE
before = writer.count
check_is_one_moment(exported("web"), before, writer.count)
f.casdisk_fails(1, "diff", "web@c0", "web")

# Attachments and labels.
with open(f.tmp + "/memory", "wb") as file:
    file.write(os.urandom(300000))
f.casdisk("checkpoint", "web", "vm", "--wait", "--attach", f"vmstate={f.tmp}/memory", "--label", "owner=me")
info = command("info", "web@vm")
assert info["labels"] == {"owner": "me"} and info["attachments"][0]["size_bytes"] == 300000, info
with open(f.tmp + "/memory", "rb") as file:
    assert exported("web@vm", "--attachment", "vmstate") == file.read()
assert "it has: vmstate" in f.casdisk_fails(1, "export", "web@vm", f.tmp + "/x", "--attachment", "other")
f.casdisk_fails(2, "export", "web", f.tmp + "/x", "--attachment", "vmstate")

# Status: who serves, how many clients, and what they do.
count = writer.count
status = command("status", "web")
assert status["state"] == "served" and status["client_count"] == 1, status
assert status["requests"]["write"]["count"] >= count, status
assert status["requests"]["write"]["bytes"] >= count * 4096, status
assert [disk["state"] for disk in command("status")["disks"]] == ["idle", "idle", "served"]
f.casdisk("flush", "web")
f.casdisk("seal", "web", "--wait")

# Rollback under a client needs --force. The client reads what was there.
assert "1 client attached" in f.casdisk_fails(4, "rollback", "web", "c3")
writer.stop()
assert command("rollback", "web", "c3", "--force")["client_count"] == 1
check_is_one_moment(f.read_all(writer.h), *moments["c3"])

# A new size shows when a client reconnects, which detach makes it do.
grown = command("resize", "web", 2 * SIZE)
assert (grown["before_size_bytes"], grown["client_count"]) == (SIZE, 1), grown
assert writer.h.get_size() == SIZE
assert command("detach", "web") == {"disk": "web", "client_count": 1, "detached_count": 1}
h = f.connected(server.uri)
assert h.get_size() == 2 * SIZE
h.pwrite(b"x" * 4096, 2 * SIZE - 4096)
f.casdisk_fails(2, "resize", "web", str(SIZE))
f.casdisk("resize", "web", SIZE, "--shrink")
h.shutdown()
h = f.connected(server.uri)
assert h.get_size() == SIZE
check_is_one_moment(f.read_all(h), *moments["c3"])

# It is the same server all the time, and says nothing of errors.
assert "error" not in server.logged(), server.logged()
h.shutdown()
server.stop()
f.wait_until(10, lambda: command("status", "web")["state"] == "idle", "the end of the server")
