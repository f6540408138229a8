#!/usr/bin/python3 -B
"""casdisk kv on the stores that need no server: what it prints and takes is bytes, what it refuses it says, with the
exit codes that are documented, and nothing is changed then."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import time

import functions as f

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
import kv_command as k
from kv_command import NASTY, answer, escaped, kv, lines, records, refuses, run

PARTS = ("get", "put", "delete", "ls", "stats", "dump", "load", "copy", "snapshot", "truncate", "is-stale", "sweep",
         "compact")
made = 0


def new_url():
    global made
    made += 1
    return f"lmdb:{f.tmp}/kv-{made}"


def pool(name="guest"):
    return f"hyperv:{name}@{f.tmp}"


def write(name, data):
    with open(f"{f.tmp}/{name}", "wb") as file:
        file.write(data)
    return f"{f.tmp}/{name}"


def test_values_are_bytes():
    url = new_url()
    every_byte = bytes(range(256))
    assert kv("put", url, "all", "-", stdin=every_byte * 5000) == b"all: 1280000 bytes, version 1\n"
    assert kv("get", url, "all") == every_byte * 5000
    kv("put", url, "all", "--file", write("value", every_byte))
    assert kv("get", url, "all") == every_byte
    kv("put", url, "empty", "")
    assert kv("get", url, "empty") == b""
    kv("put", url, "text", "one\ntwo = three")
    assert kv("get", url, "text") == b"one\ntwo = three"
    assert answer("get", url, "text") == {"key": "text", "value": "one\ntwo = three", "version": 4,
                                          "expires_at_ms": None}
    assert k.field(answer("get", url, "all"), "value") == every_byte
    assert answer("put", url, "--escaped", "\\xff", "\\\\") == {"key_base64": "/w==", "size_bytes": 1, "version": 5}
    assert kv("get", url, b"\xff") == b"\\" == kv("get", url, "--escaped", "\\xfF")
    kv("put", url, "--", "--json", "-1")
    assert kv("get", url, "--", "--json") == b"-1" and kv("get", url, "--", "--quiet", status=1) == b""
    refuses(1, "no key \"none\"", "get", url, "none")
    refuses(2, "KEY: what follows the backslash at byte 2", "get", url, "a\\n", "--escaped")
    refuses(2, "VALUE: what follows", "put", url, "a", "\\", "--escaped")
    refuses(2, "an empty key", "get", url, "")
    refuses(2, "one of them", "put", url, "a")
    refuses(2, "one of them", "put", url, "a", "b", "--file", "/dev/null")
    refuses(1, "no-such-file", "put", url, "a", "--file", f.tmp + "/no-such-file")
    refuses(2, "a value of more than 1022 bytes", "put", pool(), "a", "-", stdin=b"x" * 1023)
    refuses(2, "a value's bytes of 1023, and 1022 is the most", "put", pool(), "a", "x" * 1023)
    refuses(2, "is not UTF-8", "put", pool(), "a", b"\xff")


def test_a_terminal_gets_a_line():
    url = new_url()
    kv("put", url, "k", "-", stdin=b"\x1b[31mred\x00\n")
    master, slave = pty.openpty()
    done = subprocess.run([f.CASDISK, "kv", "get", url, "k"], stdout=slave)
    os.close(slave)
    assert done.returncode == 0 and os.read(master, 100) == b"\\x1b[31mred\\x00\\x0a\r\n"
    os.close(master)


def test_conditions():
    url = new_url()
    kv("put", url, "k", "1", "--if-absent")
    refuses(1, "it is there already", "put", url, "k", "2", "--if-absent")
    version = answer("get", url, "k")["version"]
    kv("put", url, "k", "2", "--if-version", str(version))
    refuses(1, "it has been changed since", "put", url, "k", "3", "--if-version", str(version))
    refuses(1, "it has been changed since", "delete", url, "k", "--if-version", str(version))
    assert kv("get", url, "k") == b"2"
    kv("delete", url, "k", "--if-version", str(version + 1))
    refuses(2, "cannot both hold", "put", url, "k", "1", "--if-absent", "--if-version", "1")
    refuses(2, "--append goes with no condition", "put", pool(), "k", "1", "--append", "--if-absent")
    refuses(2, "whole number", "put", url, "k", "1", "--if-version", "one")
    refuses(3, "append: this kind of store cannot", "put", url, "k", "1", "--append")
    refuses(3, "a version: this kind of store cannot", "put", pool(), "k", "1", "--if-version", "1")
    kv("put", pool("auto"), "k", "1", "--if-absent")
    refuses(1, "it is there already", "put", pool("auto"), "k", "1", "--if-absent")


def test_time_to_live():
    url = new_url()
    before = int(time.time() * 1000)
    kv("put", url, "k", "1", "--ttl", "2m")
    expires = answer("get", url, "k")["expires_at_ms"]
    assert before + 120_000 <= expires <= int(time.time() * 1000) + 120_000
    kv("put", url, "k", "1")
    assert answer("get", url, "k")["expires_at_ms"] is None
    refuses(2, "it is from 60 s to 31536000 s", "put", url, "k", "1", "--ttl", "59s")
    refuses(2, "it is from 60 s to 31536000 s", "put", url, "k", "1", "--ttl", "366d")
    refuses(2, "--ttl \"soon\" is not a time", "put", url, "k", "1", "--ttl", "soon")
    refuses(2, "leave it out", "put", url, "k", "1", "--ttl", "0s")
    refuses(3, "a time to live: this kind of store cannot", "put", pool(), "k", "1", "--ttl", "60s")
    # What has expired is hidden, is dumped, and is swept.
    kv("load", url, stdin=b"\\expires:5 old=1\nnew=2\n")
    assert kv("ls", url) == b"new\n" and kv("get", url, "old", status=1) == b""
    assert kv("dump", url) == b"new=2\n\\expires:5 old=1\n"
    assert answer("sweep", url) == {"removed_count": 1} and kv("dump", url) == b"new=2\n"
    assert kv("sweep", url) == b"0 records removed that had expired\n"


def test_deletion():
    url = new_url()
    keys = [b"k%d" % i for i in range(25)] + [b"a=b", b"\xff\n"]
    kv("load", url, stdin=b"".join(key.replace(b"=", b"\\x3d").replace(b"\xff\n", b"\\xff\\x0a") + b"=1\n" for key in keys))
    assert kv("delete", url, "k1", "k2", "none") == b"2 records removed\n"
    assert kv("delete", url, "k1", "none", status=1) == b"0 records removed\n"
    assert answer("delete", url, "none", status=1) == {"removed_count": 0}
    assert kv("delete", url, b"a=b") == b"1 record removed\n"
    refuses(2, "stands alone", "delete", url, "-", "k3")
    refuses(2, "goes with one key", "delete", url, "k3", "k4", "--if-version", "1")
    refuses(2, "missing KEY", "delete", url)
    refuses(2, "stdin:2: what follows", "delete", url, "-", stdin=b"k3\n\\k\n")
    listed = kv("ls", url)
    assert len(listed.splitlines()) == 24
    assert kv("delete", url, "-", stdin=listed) == b"24 records removed\n" and kv("ls", url) == b""


def test_lists_and_pages():
    url = new_url()
    names = sorted(f"dir/{i:02}" for i in range(37)) + ["other", "z=\\"]
    kv("load", url, stdin=b"".join(b"%s=v\n" % name.encode().replace(b"\\", b"\\\\").replace(b"=", b"\\x3d")
                                   for name in names))
    assert [record["key"] for record in lines("ls", url)] == names
    assert kv("ls", url, "--prefix", "z") == b"z\\x3d\\\\\n"
    assert kv("ls", url, "--prefix", "\\x7a\\x3d", "--escaped", "--values") == b"z\\x3d\\\\=v\n"
    assert kv("ls", url, "--prefix", "none") == b"" and lines("ls", url, "--prefix", "none") == []
    seen, cursor = [], []
    while True:
        page = lines("ls", url, "--prefix", "dir/", "--limit", "5", *cursor)
        seen += [record["key"] for record in page if "key" in record]
        if "cursor" not in page[-1]:
            break
        cursor = ["--cursor", page[-1]["cursor"]]
    assert seen == names[:37]
    done = run("ls", url, "--limit", "5")
    assert done.stdout.decode().split() == names[:5] and b"there are more: --cursor " in done.stderr
    following = done.stderr.split()[-1].decode()
    assert kv("ls", url, "--limit", "5", "--cursor", following).decode().split() == names[5:10]
    refuses(2, "of a list with another prefix", "ls", url, "--prefix", "x", "--cursor", cursor[1])
    refuses(2, "not one that a list gave", "ls", url, "--cursor", following[:-1])
    for limit in ("0", "1001", "-1", "x"):
        refuses(2, "from 1 to 1000", "ls", url, "--limit=" + limit)


def test_what_is_dumped_is_loaded():
    first, second, third = new_url(), new_url(), new_url()
    k.put_all(first, NASTY)
    kv("put", first, "lease", "1", "--ttl", "90s")
    dumped = kv("dump", first)
    assert kv("load", second, "-", stdin=dumped) == b"11 records loaded\n"
    assert kv("dump", second) == dumped
    in_json = kv("dump", first, "--json")
    assert answer("load", third, write("dump.json", in_json)) == {"record_count": 11}
    assert kv("dump", third) == dumped and dict(NASTY).items() <= dict(records(third)).items()
    assert kv("load", second, "--form", "json", write("dump.json", in_json)) == b"11 records loaded\n"
    assert kv("dump", second, "--form", "json").count(b"\n") == 11
    # A load replaces; Windows' line ends and blank lines are no harm.
    kv("load", first, stdin=b"a=1\r\n\r\n  \nb=2")
    assert records(first) == [(b"a", b"1"), (b"b", b"2")]
    kv("load", "memory:", stdin=dumped)
    # What is wrong is named by its line, and nothing is changed.
    for status, said, text in ((2, "stdin:2: no '='", b"c=1\nd\n"), (2, "stdin:1: the value: what", b"a=\\q\n"),
                               (2, "stdin:3: key \"a\" is in line 1 already", b"a=1\n\na=2\n"),
                               (2, "stdin:2: lmdb:", b"a=1\n=2\n"), (2, "an empty key", b"=2\n"),
                               (2, "stdin:1: behind \\expires:", b"\\expires:soon a=1\n"),
                               (2, "stdin: no record", b""), (2, "stdin:1: lmdb:", b"k" * 512 + b"=\n")):
        done = run("load", first, stdin=text)
        assert done.returncode == status and said.encode() in done.stderr, done.stderr
    refuses(2, "stdin:1: not a JSON object", "load", first, "--form", "json", stdin=b"a=1\n")
    refuses(2, "give text or json", "load", first, "--form", "xml")
    refuses(1, "no-such-file", "load", first, f.tmp + "/no-such-file")
    refuses(3, "one record for each key", "load", first, "--append", stdin=b"a=1\n")
    assert records(first) == [(b"a", b"1"), (b"b", b"2")]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([f.CASDISK, "kv", "dump", first], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3 and b"stdout: No space left" in done.stderr, done


def test_pools():
    url = pool("external")
    path = f"{f.tmp}/.kvp_pool_0"
    refuses(1, "No such file", "ls", url)
    kv("put", url, "k", "first")
    kv("put", url, "k", "last", "--append")
    assert kv("load", url, "--append", stdin=b"l=1\nk=very last\n") == b"2 records appended\n"
    assert kv("load", url, "--append", stdin=b"\n") == b"0 records appended\n"
    refuses(2, "stdin:2: hyperv:", "load", url, "--append", "--form", "text", stdin=b"m=1\nn=" + b"x" * 1023)
    raw = b"k=first\nk=last\nl=1\nk=very last\n"
    assert kv("dump", url) == raw and kv("ls", url, "--values") == b"k=very last\nl=1\n"
    assert os.path.getsize(path) == 4 * 2560
    stats = answer("stats", url)
    assert stats["record_count"] == 4 and stats["more"]["path"] == path and stats["more"]["pool"] == "external"
    assert stats["limits"]["key_bytes"] == 254 and stats["limits"]["text"] and "append" in stats["can"]
    assert answer("stats", url + "?limits=wire")["limits"]["value_bytes"] == 2048
    assert "4, of 1024 distinct keys at most" in kv("stats", url).decode()
    kv("load", pool("auto"), write("raw", raw))
    assert kv("dump", pool("auto")) == raw
    refuses(3, "a record that expires", "load", url, "--form", "text", stdin=b"\\expires:5 a=1\n")
    # Stale is what was written before the machine started.
    assert kv("is-stale", url, status=1) == b"not stale\n"
    assert answer("truncate", url, "--if-stale", status=1) == {"truncated": False} and kv("dump", url) == raw
    os.utime(path, (1, 1))
    assert answer("is-stale", url) == {"stale": True}
    assert kv("truncate", url, "--if-stale") == b"truncated\n" and os.path.getsize(path) == 0
    assert kv("truncate", url, "--if-stale", status=1) == b"not stale\n"
    kv("put", url, "k", "1")
    assert answer("truncate", url) == {"truncated": True} and kv("ls", url) == b""
    assert kv("is-stale", "memory:", status=1) == b"not stale\n"
    refuses(3, "compact: this kind of store cannot", "compact", url)
    refuses(2, "safe or wire", "ls", url + "?limits=none")
    refuses(2, "auto-external", "ls", "hyperv:nobody")


def test_copies():
    source, target = new_url(), new_url()
    k.put_all(source, NASTY)
    soon = int(time.time() * 1000) + 30_000
    kv("load", source, stdin=kv("dump", source) + b"\\expires:%d soon=1\n\\expires:5 gone=1\n" % soon)
    said = answer("copy", source, target)
    assert said["copied_count"] == 11 and said["lengthened_count"] == 1 and said["to"] == target, said
    copied = dict(records(target))
    assert dict(NASTY).items() <= copied.items() and len(copied) == 11 and b"gone" not in copied
    assert answer("get", target, "soon")["expires_at_ms"] > soon
    refuses(1, "--merge adds to them", "copy", source, target)
    assert kv("copy", source, target, "--merge").startswith(b"11 records copied, ")
    refuses(2, "the same store", "copy", source, source)
    refuses(1, "No such file", "copy", new_url(), target)
    # A pool takes text alone, and nothing that expires: said before anything is copied.
    refuses(2, "; nothing was copied", "copy", source, pool())
    kv("load", source, stdin=b"a=1\n\\expires:%d soon=1\n" % soon)
    refuses(3, "key \"soon\": it expires", "copy", source, pool())
    assert not os.path.exists(f.tmp + "/.kvp_pool_1")
    # What comes from a pool with duplicates.
    kv("load", pool(), stdin=b"b=1\na=1\nb=2\n")
    kv("truncate", target)
    assert b"1 that a newer record of their key hides" in kv("copy", pool(), target)
    assert kv("dump", target) == b"a=1\nb=2\n"


def test_a_copy_that_is_interrupted_goes_on():
    source, target = new_url(), pool("auto-internal")
    path = f"{f.tmp}/.kvp_pool_4"
    kv("load", source, stdin=b"".join(b"k%03d=%d\n" % (i, i) for i in range(1000)))
    kv("put", target, "mine", "1")
    copy = subprocess.Popen([f.CASDISK, "kv", "copy", source, target, "--merge"], stderr=subprocess.PIPE)
    f.wait_until(20, lambda: os.path.getsize(path) > 2560, "something is copied")
    copy.send_signal(signal.SIGINT)
    said = copy.communicate(timeout=20)[1].decode()
    assert copy.returncode == 130 and "copied before, and --merge goes on" in said, (copy.returncode, said)
    count = os.path.getsize(path) // 2560
    assert 2 <= count < 1001 and f"; {count - 1} record" in said, (count, said)
    kv("copy", source, target, "--merge")
    assert records(target)[0] == (b"mine", b"1") and len(records(target)) == 1001


def has_open(pid, name):
    folder = f"/proc/{pid}/fd/"
    return any(os.path.basename(os.readlink(folder + number)) == name for number in os.listdir(folder))


def test_snapshots_and_compaction():
    url = new_url()
    kv("load", url, stdin=b"".join(b"k%05d=%s\n" % (i, b"v" * 500) for i in range(4000)))
    copy = f"{f.tmp}/snapshot"
    assert answer("snapshot", url, copy) == {"store": url, "path": copy}
    assert kv("dump", "lmdb:" + copy) == kv("dump", url)
    refuses(1, "File exists", "snapshot", url, copy)
    refuses(3, "snapshot: this kind of store cannot", "snapshot", "memory:", copy + "2")
    # Whoever has the store open keeps compaction away: here a load that waits for its records.
    kv("delete", url, "-", stdin=b"".join(line + b"\n" for line in kv("ls", url).split()[10:]))
    holder = subprocess.Popen([f.CASDISK, "kv", "load", url, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    f.wait_until(20, lambda: has_open(holder.pid, "data.mdb"), "the other process has it open")
    refuses(4, "open", "compact", url)
    holder.communicate(timeout=20)
    assert holder.returncode == 2
    size = os.path.getsize(url[5:] + "/data.mdb")
    said = answer("compact", url)
    assert said["used_bytes"] <= said["before_bytes"] and os.path.getsize(url[5:] + "/data.mdb") < 1 << 20 < size
    assert len(records(url)) == 10


def test_a_store_of_disks_is_left_alone():
    """Fresh, when its environments are empty and would take anything, and with a disk in it."""
    store = os.environ["CASDISK_STORE"]
    f.casdisk("init")
    for has_disk in (False, True):
        if has_disk:
            f.casdisk("create", "disk", "--size", "1M")
        before = contents(store)
        for name in ("meta", "locations", "", "new", "disks"):
            for words in (("put", f"lmdb:{store}/{name}", "a", "b"), ("get", f"lmdb:{store}/{name}", "a"),
                          ("ls", f"lmdb:{store}/{name}"), ("truncate", f"lmdb:{store}/{name}")):
                done = run(*words)
                assert done.returncode in (1, 2) and b"a store of disks" in done.stderr, (words, done)
            assert run("load", f"lmdb:{store}/{name}", stdin=b"a=1\n").returncode in (1, 2)
            assert run("copy", new_url_with(b"a=1\n"), f"lmdb:{store}/{name}").returncode in (1, 2)
        assert contents(store) == before
    f.casdisk("verify")
    # A key-value store that is there is one.
    kv("snapshot", new_url_with(b"a=1\n"), store + "/access")
    assert kv("ls", f"lmdb:{store}/access") == b"a\n"
    kv("put", f"lmdb:{store}/access", "b", "2")


def new_url_with(text):
    url = new_url()
    kv("load", url, stdin=text)
    return url


def contents(directory):
    """Every file but LMDB's locks, which are of who reads."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.join(folder, name)] = "" if name == "lock.mdb" else hashlib.sha256(file.read()).hexdigest()
    return found


def test_stores_that_do_not_open():
    for part, *more in (("get", "k"), ("delete", "k"), ("ls",), ("dump",), ("stats",), ("truncate",), ("is-stale",),
                        ("sweep",), ("compact",), ("snapshot", f.tmp + "/x"), ("copy", "memory:")):
        refuses(1, f.tmp + "/none", part, f"lmdb:{f.tmp}/none", *more)
    refuses(1, "no-such-file", "load", f"lmdb:{f.tmp}/none", f.tmp + "/no-such-file")
    refuses(1, "no-such-file", "put", f"lmdb:{f.tmp}/none", "k", "--file", f.tmp + "/no-such-file")
    assert not os.path.exists(f.tmp + "/none")
    refuses(2, "no such kind of store; known are hyperv:", "ls", "nosuch:x")
    refuses(2, "no such kind of store", "ls", f.tmp)
    refuses(1, "the directory above it must exist", "put", f"lmdb:{f.tmp}/none/below", "a", "1")
    refuses(1, "No such file", "put", f"hyperv:guest@{f.tmp}/none", "a", "1")
    kv("put", f"lmdb:{f.tmp}/small", "a", "1", "--capacity", "1M")
    refuses(3, "--capacity", "put", f"lmdb:{f.tmp}/small", "b", "-", "--capacity", "1M", stdin=b"x" * (2 << 20))
    put = 0
    while run("put", f"lmdb:{f.tmp}/small", f"k{put}", "-", "--capacity", "1M", stdin=b"x" * 20000).returncode == 0:
        put += 1
    assert put > 10, put
    kv("delete", f"lmdb:{f.tmp}/small", "k0", "--capacity", "1M")
    kv("sweep", f"lmdb:{f.tmp}/small", "--capacity", "1M")
    kv("truncate", f"lmdb:{f.tmp}/small", "--capacity", "1M")
    assert kv("ls", f"lmdb:{f.tmp}/small") == b""
    refuses(2, "not a size", "put", f"lmdb:{f.tmp}/small", "b", "1", "--capacity", "much")


def test_no_secret_is_told():
    for url in ("redis://me:hunter2@127.0.0.1:1/", "redis://me:hunter2/x@127.0.0.1:1/", "redis:me:hunter2@127.0.0.1",
                "rediss://me:hunter2@127.0.0.1/", "etcd://me:hunter2@127.0.0.1:1/"):
        done = run("get", url, "k", "--json", "--timing")
        assert done.returncode in (2, 3), done
        assert b"hunter2" not in done.stdout + done.stderr, done
    url = new_url()
    done = run("put", url, "name-of-it", "hunter2", "--timing", "--ttl", "60s")
    assert done.returncode == 0, done
    timing = done.stderr.decode()
    assert timing.startswith("casdisk: put: ") and "key 10 B, value 7 B, time to live 60 s, 1 record" in timing
    assert "hunter2" not in timing and "name-of-it" not in timing
    assert b"get: " in run("get", url, "none", "--timing").stderr
    refuses(2, "a value's bytes", "put", pool(), "k", "hunter2" * 200)
    assert b"hunter2" not in run("put", pool(), "k", "hunter2" * 200).stderr


def test_help():
    overview = f.casdisk("kv", "--help")
    for part in PARTS:
        assert f"\n  {part}" in overview, part
        text = f.casdisk("kv", part, "--help")
        assert text == f.casdisk("help", "kv", part)
        assert text.startswith(f"casdisk kv {part}: ") and f"usage: casdisk kv {part} " in text
        assert "\nexamples:\n" in text and f"casdisk kv {part}" in text.split("examples:")[1], text
        assert max(map(len, text.splitlines())) <= 100, text
    assert "\n  kv " in f.casdisk("--help")
    assert "which command of it" in f.casdisk_fails(2, "kv")
    assert "did you mean kv get?" in f.casdisk_fails(2, "kv", "gett")
    assert "missing URL" in f.casdisk_fails(2, "kv", "ls")
    assert "unknown option --limt, did you mean --limit?" in f.casdisk_fails(2, "kv", "ls", "memory:", "--limt", "1")
    assert json.loads(f.casdisk("kv", "ls", "--help", "--json"))["help"].startswith("casdisk kv ls: ")


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
