#!/usr/bin/python3 -B
"""casdisk kv on RocksDB's stores: the same as on others, and what is theirs alone: one process at a time, snapshots of
links, compaction beside it, and a store that was killed opens soon and has all that was acknowledged."""

import os
import signal
import subprocess
import sys

import functions as f

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
import kv_command as k
from kv_command import NASTY, answer, kv, lines, records, refuses, run

made = 0


def new_url():
    global made
    made += 1
    return f"rocksdb:{f.tmp}/kv-{made}"


def test_records():
    url = new_url()
    refuses(1, "No such file", "get", url, "k")
    every_byte = bytes(range(256))
    kv("put", url, "all", "-", stdin=every_byte * 5000)
    assert kv("get", url, "all") == every_byte * 5000
    k.put_all(url, NASTY)
    assert dict(NASTY).items() <= dict(records(url)).items()
    version = answer("get", url, "plain")["version"]
    refuses(1, "it is there already", "put", url, "plain", "2", "--if-absent")
    kv("put", url, "plain", "2", "--if-version", str(version))
    refuses(1, "it has been changed since", "put", url, "plain", "3", "--if-version", str(version))
    refuses(1, "it has been changed since", "delete", url, "plain", "--if-version", str(version))
    assert kv("get", url, "plain") == b"2"
    kv("put", url, "lease", "1", "--ttl", "90s")
    assert answer("get", url, "lease")["expires_at_ms"] is not None
    refuses(3, "append: this kind of store cannot", "put", url, "plain", "1", "--append")
    assert kv("delete", url, "lease", "none") == b"1 record removed\n"
    assert [line["key"] for line in lines("ls", url, "--prefix", "pl")] == ["plain"]
    stats = answer("stats", url)
    assert stats["record_count"] == 1 + len(NASTY) and stats["more"]["record_count"] == "counted", stats
    assert kv("truncate", url) == b"truncated\n" and records(url) == []


def test_dumps_copies_and_snapshots():
    source, target, other = new_url(), new_url(), f"lmdb:{f.tmp}/other"
    k.put_all(source, NASTY)
    dumped = kv("dump", source)
    kv("load", target, stdin=dumped)
    assert kv("dump", target) == dumped
    assert answer("copy", source, other)["copied_count"] == len(NASTY) and kv("dump", other) == dumped
    refuses(1, "--merge adds to them", "copy", other, target)
    refuses(2, "stdin:2: no '='", "load", target, "--form", "text", stdin=b"c=1\nd\n")
    assert kv("dump", target) == dumped
    copy = f"{f.tmp}/snapshot"
    assert answer("snapshot", source, copy) == {"store": source, "path": copy}
    kv("put", source, "later", "1")
    assert kv("dump", "rocksdb:" + copy) == dumped
    refuses(1, "File exists", "snapshot", source, copy)
    refuses(1, copy, "ls", f"lmdb:{copy}")
    refuses(2, "something else in this directory", "put", f"rocksdb:{f.tmp}/other", "k", "1")
    kv("load", target, stdin=b"".join(b"k%05d=%s\n" % (i, b"v%d" % i * 100) for i in range(4000)))
    kv("delete", target, "-", stdin=b"".join(line + b"\n" for line in kv("ls", target).split()[10:]))
    said = answer("compact", target)
    assert said["used_bytes"] <= said["before_bytes"], said
    assert len(records(target)) == 10


def test_one_process_has_it():
    url = new_url()
    kv("put", url, "k", "1")
    holder = None

    def is_held():
        nonlocal holder
        if holder is None or holder.poll() is not None:  # refused, because a look had it open at that moment
            holder = subprocess.Popen([f.CASDISK, "kv", "load", url, "-"], stdin=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL)
        return run("get", url, "k").returncode == 4
    f.wait_until(20, is_held, "the other process has it open")
    refuses(4, f"pid {holder.pid}", "get", url, "k")
    refuses(4, "an lmdb: store is for several", "put", url, "k", "2")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert kv("get", url, "k") == b"1"


def test_a_killed_process_loses_nothing():
    """A copy in batches is killed at some moment: what it had written is there, and it can go on."""
    source, target = f"lmdb:{f.tmp}/large", new_url()
    kv("load", source, stdin=b"".join(b"k%05d=%s\n" % (i, b"%d " % i * 200) for i in range(20_000)))
    copy = subprocess.Popen([f.CASDISK, "kv", "copy", source, target], stderr=subprocess.DEVNULL)

    def has_written():
        folder = target.partition(":")[2]
        return os.path.isdir(folder) and sum(entry.stat().st_size for entry in os.scandir(folder)) > 1 << 20
    f.wait_until(20, has_written, "something is written")
    copy.kill()
    copy.wait()
    wanted = dict(records(source))
    found = dict(records(target))
    assert 0 < len(found) and found.items() <= wanted.items(), len(found)
    kv("copy", source, target, "--merge")
    assert dict(records(target)) == wanted


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
