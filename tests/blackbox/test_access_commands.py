#!/usr/bin/python3 -B
"""casdisk user and token: what they do, refuse and say, and that no secret is where others can see it."""

import json
import os
import pty
import re
import stat
import subprocess
import time

import functions as f

STORE = os.environ["CASDISK_STORE"]
KEY = STORE + "/access.key"
TOKEN = re.compile(r"cdt_[0-9a-f]{32}_[0-9a-f]{64}")


def said(*arguments):
    """The JSON of a command that must succeed."""
    return json.loads(f.casdisk(*arguments, "--json", "--quiet"))


def refused(status, words, *arguments):
    """A command that must fail so, and say `words`, in JSON too."""
    error = f.casdisk_fails(status, *arguments)
    assert words in error, f"{arguments}: not {words!r}: {error}"
    assert error.startswith("casdisk: "), error
    return error


def with_input(text, *arguments):
    return subprocess.run([f.CASDISK, *arguments], input=text, capture_output=True, text=True)


def on_a_terminal(answers, *arguments):
    """Runs the command on a terminal of its own, answers its questions: (status, all that was shown)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(f.CASDISK, [f.CASDISK, *arguments])
    shown = b""
    for question, answer in answers:
        while question.encode() not in shown.rpartition(b"\n")[2]:
            shown += os.read(terminal, 1024)
        os.write(terminal, answer.encode() + b"\n")
        # The next question is behind the newline that is said for the one that is not shown.
        before = len(shown)
        while b"\n" not in shown[before:]:
            shown += os.read(terminal, 1024)
    try:
        while more := os.read(terminal, 1024):
            shown += more
    except OSError:  # how Linux says that the other end is closed
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return status, shown.decode()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_before_there_are_users():
    refused(1, "init", "user", "add", "alice")
    f.casdisk("init")
    f.casdisk("create", "web", "--size", "1M")
    for command in (["checkpoint", "web@cdt_1"], ["checkpoint", "web", "--group", "cdt_1"]):
        refused(2, "begin with cdt_", *command)
    for command in (["user", "ls"], ["user", "show", "alice"], ["user", "revoke", "alice"], ["user", "audit"],
                    ["user", "psk-file", f.tmp + "/psk"], ["user", "rotate-key"], ["token", "ls"],
                    ["token", "add", "alice"]):
        refused(1, "casdisk user add", *command)
    for words, command in (("user name", ["user", "add", "a:b"]), ("SCOPES:PATTERN", ["user", "add", "a", "--grant", "x"]),
                           ("--uid", ["user", "add", "a", "--uid", "-1"]), ("missing NAME", ["user", "add"]),
                           ("which command", ["user"]), ("did you mean user add", ["user", "ad", "a"]),
                           ("no such kind", ["user", "add", "a", "--access", "nonsense:"]),
                           ("survives", ["user", "add", "a", "--access", "memory:"]),
                           ("--access is empty", ["user", "add", "a", "--access", ""]),
                           ("--access is empty", ["serve", "--all", "--access", ""]),
                           ("exclude", ["user", "add", "a", "--password", "--password-file", "-"])):
        refused(2 if "survives" != words else 3, words, *command)
    assert with_input("short\n", "user", "add", "a", "--password-file", "-").returncode == 2
    assert not os.path.exists(STORE + "/access") and not os.path.exists(KEY), "what is refused makes nothing"


def test_users():
    made = said("user", "add", "alice", "--uid", "1000", "--grant", "admin:*")
    assert made["user"] == "alice" and re.fullmatch("[0-9a-f]{32}", made["id"]) and made["grants"] == ["admin:*"]
    assert mode(KEY) == 0o600 and mode(STORE + "/access") == 0o700, "nobody else can read it"
    refused(1, "exists already", "user", "add", "alice")
    refused(1, "alice", "user", "add", "bob", "--uid", "1000")
    done = with_input("a long password\n", "user", "add", "bob", "--psk", "--password-file", "-",
                      "--grant", "read,write:build-*", "--grant", "checkpoint:*")
    assert done.returncode == 0, done.stderr
    shown = said("user", "show", "bob")
    assert shown["grants"] == ["read,write:build-*", "checkpoint:*"] and shown["password"] and shown["psk"], shown
    assert shown["uid"] is None and shown["state"] == "enabled" and shown["last_use"] is None, shown
    assert [user["user"] for user in said("user", "ls")["users"]] == ["alice", "bob"]
    assert "alice" in f.casdisk("user", "ls") and "known by  uid 1000" in f.casdisk("user", "show", "alice")
    assert said("user", "change", "bob", "--grant", "read:*", "--uid", "1001")["grants"] == ["read:*"]
    assert said("user", "show", "bob")["uid"] == 1001
    said("user", "change", "bob", "--no-uid")
    refused(1, "alice", "user", "change", "bob", "--uid", "1000")
    refused(2, "give --grant", "user", "change", "bob")
    refused(1, "does not exist", "user", "change", "carol", "--enable")
    refused(2, "give --password", "user", "rotate", "bob")
    refused(1, "no key", "user", "show", "alice", "--psk")


def test_psk_file():
    path = f.tmp + "/keys.psk"
    assert said("user", "psk-file", path) == {"path": path, "key_count": 1, "changed": True}
    assert mode(path) == 0o600
    with open(path) as file:
        line = file.read()
    assert re.fullmatch("bob:[0-9a-f]{64}\n", line) and line == f.casdisk("user", "show", "bob", "--psk")
    assert not said("user", "psk-file", path)["changed"]
    said("user", "rotate", "bob", "--psk")
    assert said("user", "psk-file", path)["changed"]
    with open(path) as file:
        assert file.read() != line
    said("user", "revoke", "bob")
    assert said("user", "psk-file", path)["key_count"] == 0 and os.path.getsize(path) == 0
    said("user", "change", "bob", "--enable")
    assert set(os.listdir(f.tmp)) == {"store", "keys.psk"}, "nothing is left beside it"
    refused(1, "no/keys", "user", "psk-file", f.tmp + "/no/keys")


def test_tokens():
    text = f.casdisk("token", "add", "bob", "--label", "runner 7", "--grant", "read:a*", "--expires", "7d", "--quiet").strip()
    assert TOKEN.fullmatch(text), text
    token, = said("token", "ls")["tokens"]
    assert token["id"] == text[4:36] and token["user"] == "bob" and token["label"] == "runner 7", token
    assert token["grants"] == ["read:a*"] and token["state"] == "valid" and token["last_use"] is None, token
    assert said("token", "ls", "alice")["tokens"] == []
    other = said("token", "rotate", token["id"])
    assert other["id"] == token["id"] and other["token"] != text and other["expires"] == token["expires"]
    assert said("token", "add", "bob")["grants"] == ["read,write,checkpoint,admin:*"]
    assert len(said("token", "ls", "bob")["tokens"]) == 2
    said("token", "revoke", token["id"])
    assert sorted(t["state"] for t in said("token", "ls")["tokens"]) == ["revoked", "valid"]
    refused(2, "revoked", "token", "rotate", token["id"])
    said("token", "revoke", token["id"], "--remove")
    refused(1, "does not exist", "token", "revoke", token["id"])
    error = refused(2, "no token's id", "token", "revoke", text)
    assert text[40:] not in error, "a token that was given in the place of its id is not shown"
    refused(1, "does not exist", "token", "add", "carol")
    refused(1, "does not exist", "token", "ls", "carol")
    for wrong in ("7", "0s", "4000d", "x"):
        refused(2, "--expires", "token", "add", "bob", "--expires", wrong)
    said("user", "revoke", "bob")
    assert [t["state"] for t in said("token", "ls")["tokens"]] == ["disabled"]
    refused(2, "disabled", "token", "add", "bob")
    said("user", "change", "bob", "--enable")


def test_passwords():
    status, shown = on_a_terminal([("password: ", "typed secret")] + [("again: ", "typed secret")],
                                  "user", "rotate", "alice", "--password")
    assert status == 0 and "typed" not in shown, shown
    status, shown = on_a_terminal([("password: ", "typed secret"), ("again: ", "typed secreT")],
                                  "user", "rotate", "alice", "--password")
    assert status == 2 and "different" in shown, shown
    status, shown = on_a_terminal([("password: ", "abc\x03")], "user", "rotate", "alice", "--password")
    assert status == 130, (status, shown)
    status, shown = on_a_terminal([("password: ", "typed secret")], "user", "login", "alice", "--expires", "5m")
    assert status == 0 and TOKEN.search(shown) and "typed" not in shown, shown
    assert said("token", "ls", "alice")["tokens"][0]["label"] == "login"
    # Without a terminal there is nothing to ask on.
    lonely = subprocess.run(["setsid", "-w", f.CASDISK, "user", "login", "alice"], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True)
    assert lonely.returncode == 2 and "--password-file" in lonely.stderr, lonely.stderr
    with open(f.tmp + "/password", "w") as file:
        file.write("typed secret\nand nothing of this\n")
    assert TOKEN.fullmatch(said("user", "login", "alice", "--password-file", f.tmp + "/password")["token"])
    os.remove(f.tmp + "/password")
    for name in ("alice", "carol"):
        for _ in range(5):
            wrong = with_input("wrong password\n", "user", "login", name, "--password-file", "-")
            assert wrong.returncode == 1 and "wrong" in wrong.stderr, wrong.stderr
        locked = with_input("typed secret\n", "user", "login", name, "--password-file", "-")
        assert locked.returncode == 3 and "try again in 5 minutes" in locked.stderr, locked.stderr
    assert said("user", "show", "alice")["state"] == "locked" and said("user", "show", "alice")["locked_seconds"] > 0
    locked_out = [e for e in said("user", "audit")["events"] if e["outcome"] == "locked out"]
    assert [e["on"] for e in locked_out] == ["alice", "carol"], locked_out
    # Who may change users lets the user in again.
    said("user", "change", "alice", "--enable")
    assert said("user", "show", "alice")["state"] == "enabled"
    for _ in range(5):
        with_input("wrong password\n", "user", "login", "alice", "--password-file", "-")
    assert said("user", "show", "alice")["state"] == "locked"
    assert with_input("another secret\n", "user", "rotate", "alice", "--password-file", "-").returncode == 0
    assert with_input("another secret\n", "user", "login", "alice", "--password-file", "-").returncode == 0
    assert with_input("x" * 2000, "user", "rotate", "alice", "--password-file", "-").returncode == 2


def test_audit():
    events = said("user", "audit", "--limit", "1000")["events"]
    what = [event["what"] for event in events]
    for expected in ("add user", "change user", "rotate user", "revoke user", "add token", "rotate token",
                     "revoke token", "remove token", "login"):
        assert expected in what, (expected, what)
    assert events == sorted(events, key=lambda event: event["time"]), "the oldest first"
    mine = f"uid {os.getuid()}"
    assert events[0]["who"] == mine and events[0]["on"] == "alice" and events[0]["outcome"] == "done", events[0]
    assert {"who": "user alice", "outcome": "refused"}.items() <= next(e for e in events if e["what"] == "login").items()
    text = f.casdisk("user", "audit", "--since", "1h")
    assert "add user" in text and not re.search("_[0-9a-f]{64}", text) and "typed" not in text, text
    assert len(said("user", "audit", "--limit", "3")["events"]) == 3


def test_master_key():
    with open(KEY) as file:
        before = file.read()
    os.chmod(KEY, 0o644)
    refused(2, "chmod 600 " + KEY, "user", "ls")
    os.chmod(KEY, 0o600)
    os.rename(KEY, KEY + ".away")
    refused(1, KEY, "user", "ls")
    refused(1, KEY, "user", "add", "carol")
    assert not os.path.exists(KEY), "no other key is made for records that have one"
    os.environ["CASDISK_MASTER_KEY_FILE"] = KEY + ".away"
    assert said("user", "ls")["users"]
    del os.environ["CASDISK_MASTER_KEY_FILE"]
    os.rename(KEY + ".away", KEY)
    begun = said("user", "rotate-key", "--begin")
    assert begun["begun"] and mode(KEY) == 0o600
    finished = said("user", "rotate-key")
    assert finished["resumed"] and finished["key"] == begun["key"] and finished["record_count"] >= 4, finished
    with open(KEY) as file:
        after = file.read()
    old_key = [line for line in before.splitlines() if not line.startswith("#")][0]
    assert old_key not in after and "record" in f.casdisk("user", "rotate-key")
    assert [user["user"] for user in said("user", "ls")["users"]] == ["alice", "bob"]
    refused(2, "aes-256-gcm", "user", "rotate-key", "--cipher", "rot13")


def key_count():
    with open(KEY) as file:
        return sum(not line.startswith("#") for line in file)


def killed_rotations(users, seconds):
    """How many records each rotation that was killed in the middle left to the next one."""
    left = []
    for n in range(12):
        rotation = subprocess.Popen([f.CASDISK, "user", "rotate-key"], stdout=subprocess.DEVNULL)
        time.sleep(seconds * n / 12)
        rotation.kill()
        rotation.wait()
        assert [user["user"] for user in said("user", "ls")["users"]] == users
        if key_count() == 2:
            finished = said("user", "rotate-key")
            assert finished["resumed"], finished
            left.append(finished["record_count"])
        assert key_count() == 1
    return left


def test_a_rotation_that_is_killed():
    for n in range(60):
        f.casdisk("user", "add", f"many-{n}", "--quiet")
    users = [user["user"] for user in said("user", "ls")["users"]]
    begin = time.monotonic()
    total = said("user", "rotate-key")["record_count"]
    seconds = time.monotonic() - begin
    assert total >= len(users)
    # How fast the machine is changes under the test: a few tries.
    for _ in range(5):
        left = killed_rotations(users, seconds)
        if any(0 < count < total for count in left):
            break
    else:
        assert False, f"no rotation was killed half-way, of {total} records: {left} were left"
    f.casdisk("user", "rotate-key")
    assert [user["user"] for user in said("user", "ls")["users"]] == users
    assert key_count() == 1
    assert not [name for name in os.listdir(STORE) if name.startswith("access.key.new-")]


def test_removal():
    f.casdisk("token", "add", "bob", "--quiet")
    said("user", "revoke", "bob", "--remove")
    refused(1, "does not exist", "user", "show", "bob")
    assert [token["user"] for token in said("token", "ls")["tokens"] if token["user"] == "bob"] == []


test_before_there_are_users()
test_users()
test_psk_file()
test_tokens()
test_passwords()
test_audit()
test_master_key()
test_a_rotation_that_is_killed()
test_removal()
