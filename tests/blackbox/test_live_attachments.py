#!/usr/bin/python3 -B
"""What a served disk's checkpoint is given to keep is kept by the server too, from the moment that it was
asked to: a command that dies before its checkpoint is recorded leaves nothing that garbage collection
takes and the checkpoint then names."""

import json
import os
import subprocess

import functions as f
from tools.control_wire import ControlWire, wait_for_socket

store = os.environ["CASDISK_STORE"]
content = os.urandom(300_000)
with open(f.tmp + "/memory", "wb") as file:
    file.write(content)
f.casdisk("init")
f.casdisk("create", "web", "--size", "16M")
server = f.Nbdkit("disk=web")
wait_for_socket(store)


def begin_collection():
    """A gc that has condemned what it will delete, and waits for sessions of before."""
    process = subprocess.Popen([f.CASDISK, "gc", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    before = set(os.listdir(store + "/sessions"))
    f.wait_until(20, lambda: process.poll() is not None or set(os.listdir(store + "/sessions")) != before,
                 "gc")
    return process


def stored_and_forgotten():
    """Content that was put, as by a command, and that nothing names any more."""
    f.casdisk("import", f.tmp + "/memory", "copy")
    info = json.loads(f.casdisk("info", "copy@import", "--json"))
    f.casdisk("rm", "copy@import")
    f.casdisk("rm", "copy")
    return {"name": "vmstate", "size_bytes": info["size_bytes"], "root": info["root"]}


def checkpoint(control, name, attachment):
    return control.ask(do="checkpoint", disk="web", checkpoint=name, attachments=[attachment])


# Without a session, or with what is not there, it is refused.
attachment = stored_and_forgotten()
control = ControlWire(store)
assert checkpoint(control, "c", attachment)["error"]["fault"] == "invalid"
assert control.ask(do="begin_session", disk="web")["ok"] == {}
made_up = {**attachment, "root": "77" * 32}
assert "not in the store" in checkpoint(control, "c", made_up)["error"]["message"]

# With one it outlives a collection that begins in between, and waits.
collection = begin_collection()
try:
    said = collection.communicate(timeout=1)
    raise AssertionError(f"gc did not wait for the session: {said}")
except subprocess.TimeoutExpired:
    pass
assert checkpoint(control, "c", attachment)["ok"]["checkpoint"] == "c"
said = collection.communicate(timeout=100)
assert collection.returncode == 0, said
f.casdisk("verify")
f.casdisk("export", "web@c", f.tmp + "/out", "--attachment", "vmstate")
with open(f.tmp + "/out", "rb") as file:
    assert file.read() == content

# Recording ended the session; so does the end of a connection.
with open(f.tmp + "/memory", "wb") as file:
    file.write(os.urandom(300_000))
stored_and_forgotten()
f.run("timeout", "100", f.CASDISK, "gc")
assert control.ask(do="begin_session", disk="web")["ok"] == {}
control.close()
stored_and_forgotten()
freed = json.loads(f.casdisk("gc", "--json"))
assert freed["freed_bytes"] > 300_000, freed
f.casdisk("verify")
server.stop()
