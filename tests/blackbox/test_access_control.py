#!/usr/bin/python3 -B
"""What other users may ask a guarded store's server for, over its control socket: by their uid, by a token;
what they may not read does not exist for them; and they cannot keep the owner out."""

import json
import os
import stat
import time

import functions as f
from tools.control_wire import ControlWire
from tools.other_users import as_uid

if os.getuid() != 0:
    f.skip("needs root, to be other users")
BACKUP, STRANGER = 4001, 65534
GUESTS, OF_ONE, IDLE_SECONDS = 48, 4, 10

f.casdisk("init")
f.casdisk("create", "web", "--size", "1M")
f.casdisk("create", "secret", "--size", "1M")
run = f.tmp + "/store/run"
link = run + "/_all.control"
os.chmod(f.tmp, 0o711)
os.chmod(f.tmp + "/store", 0o711)


def ask(*requests):
    """The replies, of one connection."""
    wire = ControlWire(path=link)
    return [wire.ask(**request) for request in requests]


def ask_as(uid, *requests):
    return as_uid(uid, ask, *requests)


# Before there is a user nobody gets in, and nothing is as in a guarded store.
server = f.Nbdkit()
h = f.connected(server.export("web"))
assert stat.S_IMODE(os.stat(run).st_mode) == 0o700
assert not os.path.lexists(link)
h.shutdown()
server.stop()

f.casdisk("user", "add", "backup", "--uid", BACKUP, "--grant", "read,checkpoint:web")
f.casdisk("user", "add", "chief", "--grant", "admin:*")
tokens = [json.loads(f.casdisk("token", "add", "chief", "--grant", grant, "--json"))
          for grant in ("admin:web", "read:web")]
admin, read = (token["token"] for token in tokens)
server = f.Nbdkit()
h = f.connected(server.export("web"))
assert stat.S_IMODE(os.stat(run).st_mode) == 0o711
assert stat.S_IMODE(os.stat(link).st_mode) == 0o666

# By the uid: what it is granted, what is missing, and what does not exist.
STATUS = {"do": "status", "disk": "web"}
done, made, denied, hidden, missing = ask_as(
    BACKUP, STATUS, {"do": "checkpoint", "disk": "web", "checkpoint": "one", "wait": True},
    {"do": "rollback", "disk": "web", "checkpoint": "one"}, {"do": "status", "disk": "secret"},
    {"do": "status", "disk": "nope"})
assert done["ok"]["status"]["client_count"] == 1
assert made["ok"]["checkpoint"] == "one"
assert denied["error"]["fault"] == "denied", denied
assert "admin:web" in denied["error"]["message"] and "user backup" in denied["error"]["message"], denied
assert hidden["error"]["fault"] == missing["error"]["fault"] == "not_found"
assert hidden["error"]["message"].replace("secret", "nope") == missing["error"]["message"]
strange, = ask_as(STRANGER, STATUS)
assert strange["error"] == {"fault": "not_found",
                            "message": missing["error"]["message"].replace("nope", "web")}

# By a token, whoever has it; each request for itself.
FORK = {"do": "fork", "disk": "web", "new_disk": "copy"}
answers = ask_as(STRANGER, {**STATUS, "token": read}, {**FORK, "token": read}, STATUS, {**STATUS, "token": admin},
                 {**FORK, "token": admin}, {"do": "resize", "disk": "web", "size_bytes": 2 << 20, "token": admin},
                 {**STATUS, "token": admin[:-1] + ("0" if admin[-1] != "0" else "1")},
                 {"do": "detach", "disk": "secret", "token": admin})
outcomes = [reply["error"]["fault"] if "error" in reply else "ok" for reply in answers]
assert outcomes == ["ok", "denied", "not_found", "ok", "denied", "ok", "not_found", "not_found"], answers
assert "admin:copy" in answers[4]["error"]["message"]
# What could stall the owner's disk or the store, no grant allows.
for stall in ({"do": "begin_session"}, {"do": "prepare"}, {"do": "hold", "at_most_ms": 50}, {"do": "cut", "hold": 1},
              {"do": "flush_cut"}, {"do": "reload", "generation": 1}, {"do": "release", "hold": 1},
              {"do": "checkpoint", "checkpoint": "two", "attachments": [
                  {"name": "notes", "size_bytes": 1, "root": "zero"}]}):
    reply, = ask_as(STRANGER, {**stall, "disk": "web", "token": admin})
    assert reply["error"]["fault"] == "denied" and "server's own user" in reply["error"]["message"], reply
f.casdisk("token", "revoke", tokens[0]["id"])
assert ask_as(STRANGER, {**STATUS, "token": admin})[0]["error"]["fault"] == "not_found"
assert "copy" not in f.casdisk("ls")

def crowd_of(uid, count):
    os.seteuid(uid)
    try:
        return [ControlWire(path=link) for _ in range(count)]
    finally:
        os.seteuid(0)


# One user leaves room for others; the owner may everything, and has room when these have taken all that they get.
begin = time.monotonic()
*crowd, one_more = crowd_of(STRANGER, OF_ONE + 1)
assert one_more.reply()["error"]["fault"] == "busy"
one_more.close()
assert "ok" in ask_as(BACKUP, STATUS)[0]
for uid in range(5000, 5000 + GUESTS // OF_ONE - 1):
    crowd += crowd_of(uid, OF_ONE)
one_more, = crowd_of(6000, 1)
assert one_more.reply()["error"]["fault"] == "busy"
assert "ok" in ask(FORK)[0]
assert "copy" in f.casdisk("ls")
# Who asks nothing is hung up on; the owner is not.
patient = ControlWire(path=link)
for wire in crowd:
    assert wire.is_closed()
assert time.monotonic() - begin > IDLE_SECONDS - 1
assert "ok" in patient.ask(**STATUS)
assert "ok" in ask_as(BACKUP, STATUS)[0]
for wire in (*crowd, one_more, patient):
    wire.close()

# No token is said again, to anybody.
h.shutdown()
server.stop()
assert not os.path.lexists(link)
secrets = [token["token"].split("_")[2] for token in tokens]
for text in (server.logged(), json.dumps(answers)):
    assert not any(s in text for s in secrets)
assert f"refused: uid {STRANGER} asked for status of web" in server.logged(), server.logged()
