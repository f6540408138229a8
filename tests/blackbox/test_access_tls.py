#!/usr/bin/python3 -B
"""casdisk serve --tls: in comes who has the key of a user, over TLS; the keys are those of the records at each
handshake, whoever changed them; a token says what may be done."""

import json
import os
import signal
import stat

import functions as f
import nbd

if not nbd.NBD().supports_tls():
    f.skip("needs a libnbd with TLS")
f.requires("sh", "-c", "nbdkit --dump-config | grep -qx tls=yes")

f.casdisk("init")
f.casdisk("create", "web", "--size", "1M")
assert "no users yet" in f.casdisk_fails(2, "serve", "--all", "--port", "0", "--tls")
for user in ("alice", "bob"):
    f.casdisk("user", "add", user, "--psk", "--grant", "write:*")
token = json.loads(f.casdisk("token", "add", "alice", "--json"))["token"]


def key_file(user, digit=None):
    """What the user's client needs; with another last digit, if one is given."""
    line = f.casdisk("user", "show", user, "--psk").strip()
    if digit is not None:
        line = line[:-1] + ("1" if line[-1] == digit else digit)
    path = f"{f.tmp}/{user}{digit or ''}.psk"
    with open(path, "w") as file:
        file.write(line + "\n")
    return path


def look(user, psk_file, name=f"web@{token}"):
    """"rw", or the words of the refusal."""
    h = nbd.NBD()
    if user:
        h.set_tls(nbd.TLS_REQUIRE)
        h.set_tls_username(user)
        h.set_tls_psk_file(psk_file)
    h.set_export_name(name)
    try:
        h.connect_tcp("127.0.0.1", port)
    except nbd.Error as error:
        return error.string
    assert bool(h.get_tls_negotiated()) == bool(user)
    h.pwrite(b"a" * 512, 0)
    h.shutdown()
    return "rw"


server = f.Serve("--all", "--port", "0", "--tls")
assert server.uri.startswith("nbds://127.0.0.1:"), server.uri
port = server.uri.split(":")[-1].strip("/")
run = f.tmp + "/store/run"
psk_file, = (f"{run}/{name}" for name in os.listdir(run) if name.endswith(".psk"))
assert psk_file == f"{run}/{server.process.pid}.psk"
assert stat.S_IMODE(os.stat(psk_file).st_mode) == 0o600

alice, bob, wrong = key_file("alice"), key_file("bob"), key_file("alice", digit="0")
assert look("alice", alice) == look("bob", bob) == "rw"
for user, keys in (("alice", wrong), ("alice", bob), ("mallory", alice), (None, None)):
    assert look(user, keys) != "rw", (user, keys)
# The key lets in; it is the token that opens.
assert "rw" != look("alice", alice, "web") == look("alice", alice, "nope").replace("nope", "web")
f.run("nbdinfo", "--size", f"nbds://alice@127.0.0.1:{port}/web@{token}?tls-psk-file={alice}")
assert not f.succeeds("nbdinfo", "--size", f"nbds://alice@127.0.0.1:{port}/web@{token}?tls-psk-file={wrong}")
assert not f.succeeds("nbdinfo", "--size", f"nbd://127.0.0.1:{port}/web@{token}")

# Who is revoked is out when the command returns; who is new, or has a new key, is in.
f.casdisk("user", "revoke", "bob")
assert look("bob", bob) != "rw" == look("alice", alice)
f.casdisk("user", "change", "bob", "--enable")
f.casdisk("user", "add", "carol", "--psk")
assert look("bob", bob) == look("carol", key_file("carol")) == "rw"
f.casdisk("user", "rotate", "carol", "--psk")
assert look("carol", f.tmp + "/carol.psk") != "rw" == look("carol", key_file("carol"))
f.casdisk("user", "revoke", "bob", "--remove")
assert look("bob", bob) != "rw"
with open(psk_file) as file:
    assert [line.split(":")[0] for line in file] == ["alice", "carol"]
os.unlink(psk_file)
assert look("alice", alice) == "rw"
assert stat.S_IMODE(os.stat(psk_file).st_mode) == 0o600

# The server dies: another one takes its place, with the same file.
os.kill(server.nbdkit_pid(), signal.SIGKILL)
f.wait_until(20, lambda: look("alice", alice) == "rw", "a server again")

# What a serve that was killed has left is swept by the next; one that ends leaves nothing.
unfinished = psk_file + ".new-0123456789abcdef"
open(unfinished, "w").close()
server.kill()
assert os.path.exists(psk_file)
server = f.Serve("--all", "--port", "0", "--tls")
assert not os.path.exists(psk_file) and not os.path.exists(unfinished)
psk_file = f"{run}/{server.process.pid}.psk"
open(psk_file + ".new-0123456789abcdef", "w").close()
server.stop()
assert not [name for name in os.listdir(run) if ".psk" in name]
assert token.split("_")[2] not in server.logged() and "in the clear" not in server.logged()
