#!/usr/bin/python3 -B
"""casdisk kv on the stores that servers keep, and copies between all kinds."""

import os
import signal
import sys

import functions as f

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
import kv_command as k
from kv_command import NASTY, answer, kv, lines, records, refuses, run

WANTED = sorted(NASTY)


def test_records(url, loads):
    k.put_all(url, NASTY)
    assert sorted(records(url)) == WANTED
    for key, value in NASTY:
        if b"\0" not in key:
            assert kv("get", url, "--", key) == value
    refuses(1, "no key \"none\"", "get", url, "none")
    refuses(1, "it is there already", "put", url, "plain", "1", "--if-absent")
    version = answer("get", url, "plain")["version"]
    assert answer("put", url, "plain", "2", "--if-version", str(version))["version"] != version
    refuses(1, "it has been changed since", "put", url, "plain", "3", "--if-version", str(version))
    kv("put", url, "lease", "1", "--ttl", "2m")
    assert answer("get", url, "lease")["expires_at_ms"] is not None
    assert kv("ls", url, "--prefix", "l") == b"lease\nline\\x0afeed\n"
    page = lines("ls", url, "--limit", "4")
    assert len(page) == 5
    assert len(lines("ls", url, "--cursor", page[-1]["cursor"])) == len(NASTY) + 1 - 4
    assert kv("delete", url, "lease", "plain", "none") == b"2 records removed\n"
    stats = answer("stats", url)
    assert stats["record_count"] == len(NASTY) - 1 and "versions" in stats["can"]
    if loads:
        kv("load", url, stdin=kv("dump", url) + b"more=1\n")
        assert len(records(url)) == len(NASTY)
    else:
        refuses(3, "`casdisk kv copy` that here", "load", url, stdin=b"a=1\n")
        assert len(records(url)) == len(NASTY) - 1
    refuses(1, "--merge adds to them", "copy", "lmdb:" + f.tmp + "/first", url)
    kv("truncate", url)
    assert kv("ls", url) == b""


def test_round_trip(urls):
    """Through every kind and back: the same records, with the time that they have."""
    first, last = f"lmdb:{f.tmp}/first", f"lmdb:{f.tmp}/last"
    kv("put", first, "lease", "1", "--ttl", "1h")
    expires = answer("get", first, "lease")["expires_at_ms"]
    before = first
    for url in (*urls, last):
        said = answer("copy", before, url)
        assert said["copied_count"] == 300 + len(NASTY) + 1, said
        before = url
    assert records(last) == records(first)
    # A server's clock may end a lease later, and counts in seconds.
    assert abs(answer("get", last, "lease")["expires_at_ms"] - expires) < 20_000


def test_a_server_that_ends(server):
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    refuses(3, "cannot be opened (check that", "get", server.url, "k")
    refuses(3, "cannot be opened (check that", "put", server.url, "k", "1")


def test_passwords(url_of):
    """They come from the URL or from a file, and are in no output."""
    server = k.Redis("--requirepass", "hunter2/")
    with open(f.tmp + "/password", "w") as file:
        file.write("hunter2/\n")
    by_file = f"{server.url}?password_file={f.tmp}/password"
    kv("put", by_file, "k", "1")
    in_url = url_of(server.socket, "hunter2%2F")
    assert kv("get", in_url, "k") == b"1"
    for words in (("stats", in_url), ("stats", in_url, "--json"), ("get", in_url, "none"), ("get", server.url, "k"),
                  ("get", url_of(server.socket, "wrong-hunter2"), "k"), ("dump", in_url, "--timing"),
                  ("copy", in_url, "memory:", "--json"), ("copy", in_url, in_url), ("put", in_url, "k", "1", "--append")):
        done = run(*words)
        assert b"hunter2" not in done.stdout + done.stderr, (words, done)


def test():
    redis, etcd = k.Redis(), k.Etcd()
    first = f"lmdb:{f.tmp}/first"
    kv("load", first, stdin=b"".join(b"k%03d=%s\n" % (i, b"v" * (i * 7)) for i in range(300)))
    k.put_all(first, NASTY)
    test_records(redis.url, loads=True)
    test_records(etcd.url, loads=False)
    test_round_trip([redis.url + "?prefix=copy:", etcd.url + "/copy"])
    for server in (redis, etcd):
        test_a_server_that_ends(server)
    test_passwords(lambda socket, password: f"redis+unix://:{password}@{socket}")


test()
