#!/usr/bin/python3 -B
"""Who may open which export of a guarded store: by uid on a Unix socket, by a token anywhere. What one
may not read does not exist, in lists, by name and in words; no token stays in a log or a file."""

import json
import os
import re

import functions as f
import nbd
from tools.other_users import as_uid, look, names_listed

if os.getuid() != 0:
    f.skip("needs root, to be other users")
READER, WRITER, STRANGER = 4001, 4002, 65534

f.casdisk("init")
f.casdisk("create", "web", "--size", "1M")
f.casdisk("create", "other", "--size", "2M")
f.casdisk("checkpoint", "web", "monday")
os.chmod(f.tmp, 0o711)  # for the others, on their way to the sockets
server = f.Nbdkit()
os.chmod(server.socket, 0o666)


def on_unix(uid, name):
    return as_uid(uid, look, server.export(name))


# Nobody is asked for anything, until there is a user: then everybody who comes.
assert on_unix(STRANGER, "other") == on_unix(READER, "web") == "rw"
early = f.connected(server.export("web"))
f.casdisk("user", "add", "reader", "--uid", READER, "--grant", "read:web")
f.casdisk("user", "add", "writer", "--uid", WRITER, "--grant", "write:*")
refused = on_unix(STRANGER, "web")
assert refused.startswith("refused: ")
early.pwrite(b"a" * 4096, 0)
early.flush()
early.shutdown()

# By the uid; root is the owner here. One answer for what may not be read and what is not there.
for name, of_reader, of_writer, of_root in (
        ("web", "ro", "rw", "rw"), ("web@monday", "ro", "ro", "ro"), ("other", refused, "rw", "rw"),
        ("nope", refused, refused, refused), ("web@nope", refused, refused, refused)):
    assert on_unix(READER, name) == of_reader, name
    assert on_unix(WRITER, name) == of_writer, name
    assert look(server.export(name)) == of_root, name
    assert on_unix(STRANGER, name) == refused, name

# Lists, and the default export, have what may be read.
everything = ["other", "web", "web@monday"]
assert names_listed(server.export("")) == as_uid(WRITER, names_listed, server.export("")) == everything
assert as_uid(READER, names_listed, server.export("")) == ["web", "web@monday"]
assert as_uid(STRANGER, names_listed, server.export("")) == []
assert on_unix(READER, "") == "ro"
assert on_unix(STRANGER, "").startswith("refused: ")

tokens = []


def new_token(*command):
    tokens.append(json.loads(f.casdisk("token", *command, "--json")))
    return tokens[-1]["token"]


def add_token(grant):
    return new_token("add", "writer", "--grant", grant)


def check_tokens(export):
    """On either kind of socket. Whoever comes with a wrong one is nobody, root too."""
    def with_token(name, token):
        return look(export(f"{name}@{token}"))

    assert with_token("web", read) == with_token("web@monday", write) == with_token("other", read) == "ro"
    assert with_token("web", write) == with_token("", write) == "rw"  # "": the one that it may read
    assert with_token("other", write) == with_token("nope", read) == refused
    for wrong in (write[:-1] + ("0" if write[-1] != "0" else "1"), write[:-1], write + "0", "cdt_"):
        assert with_token("web", wrong) == refused
    for misplaced in (f"{write}@web", f"web:{write}", f"web/{write}"):
        assert look(export(misplaced)).startswith("refused: ")
    # What ends a token counts from the next client on; the one that is there stays.
    revoked, rotated = add_token("write:*"), add_token("write:*")
    assert with_token("other", rotated) == "rw"
    staying = f.connected(export("other@" + revoked))
    f.casdisk("token", "revoke", tokens[-2]["id"])
    fresh = new_token("rotate", tokens[-1]["id"])
    assert with_token("other", revoked) == with_token("other", rotated) == refused
    assert with_token("other", fresh) == "rw"
    staying.pwrite(b"b" * 512, 0)
    staying.shutdown()


read, write = add_token("read:*"), add_token("write:web")
check_tokens(server.export)
assert on_unix(STRANGER, "web@" + write) == "rw"
assert on_unix(WRITER, "web@" + read) == "ro"
f.casdisk("user", "revoke", "reader", "--remove")
assert on_unix(READER, "web") == refused
server.stop()

tcp = f.Serve("--all", "--port", "0")
assert look(tcp.uri + "web") == look(tcp.uri + "nope") == refused
assert names_listed(tcp.uri) == []
check_tokens(lambda name: tcp.uri + name)

# Who may only read cannot write, whatever the client sends.
h = nbd.NBD()
h.set_strict_mode(0)
h.connect_uri(tcp.uri + "web@" + read)
for attempt in (lambda: h.pwrite(b"x" * 4096, 0), lambda: h.zero(4096, 0), lambda: h.trim(4096, 0)):
    try:
        attempt()
        raise SystemExit("a reader has written")
    except nbd.Error as error:
        assert error.errno in ("EPERM", "EROFS"), error
assert h.pread(4096, 0) == b"a" * 4096
h.shutdown()
tcp.stop()

# The server says who was refused what.
assert f"refused: uid {STRANGER} asked for open of web" in server.logged()
assert re.search(r"refused: token [0-9a-f]+ of writer asked for open of other", tcp.logged()), tcp.logged()

assert tcp.logged().count("in the clear") == 1 and "in the clear" not in server.logged(), tcp.logged()

# nbdkit's own -v prints names as they come; nothing of ours does.
verbose = f.Nbdkit(f.PLUGIN, plugin="--verbose")
for name in ("web", "nope", "web@monday"):
    look(verbose.export(f"{name}@{write}"))
look(verbose.export(f"web:{write}"))
names_listed(verbose.export(""))
verbose.stop()
secrets = [token["token"].split("_")[2] for token in tokens]
of_nbdkit = re.compile(r"client requested export|open readonly=.* exportname=|META_CONTEXT")
assert "no disk named nope" in verbose.logged()
for line in verbose.logged().splitlines():
    assert not any(s in line for s in secrets) or of_nbdkit.search(line), line
for each in (server, tcp):
    assert not any(s in each.logged() for s in secrets)
for folder, _, names in os.walk(f.tmp + "/store"):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            content = file.read()
        assert not any(s.encode() in content or bytes.fromhex(s) in content for s in secrets), name
