#!/usr/bin/python3 -B
"""Two hosts share users and tokens in one Redis: each sees at once what the other did; the master key is
brought over by hand, and missing or old it is an error that says so."""

import json
import os
import shutil

import functions as f

f.requires("redis-server", "--version")
SOCKET = f.tmp + "/redis.sock"
redis = f.Server(["redis-server", "--port", "0", "--unixsocket", SOCKET, "--dir", f.tmp, "--appendonly", "yes",
                  "--appendfsync", "always", "--save", ""], stdout=open(f.tmp + "/redis.log", "w"))
f.wait_until(10, lambda: f.succeeds("redis-cli", "-s", SOCKET, "ping"), "redis-server answers")
os.environ["CASDISK_ACCESS"] = f"redis+unix://{SOCKET}?prefix=access:"


class Host:
    def __init__(self, name):
        self.store = f"{f.tmp}/{name}"
        self.key = self.store + "/access.key"
        self.casdisk("init")

    def casdisk(self, *arguments):
        return f.casdisk("--store", self.store, "--quiet", *arguments)

    def said(self, *arguments):
        return json.loads(self.casdisk(*arguments, "--json"))

    def refused(self, words, *arguments):
        error = f.casdisk_fails(1, "--store", self.store, *arguments)
        assert words in error, error


def test():
    one, two = Host("one"), Host("two")
    one.casdisk("user", "add", "ci", "--grant", "read:*")
    two.refused("bring that file", "user", "ls")
    two.refused("bring that file", "user", "add", "other")
    assert not os.path.exists(two.key)
    shutil.copy(one.key, two.key)
    assert [user["user"] for user in two.said("user", "ls")["users"]] == ["ci"]
    two.refused("exists already", "user", "add", "ci")
    token = two.said("token", "add", "ci")["id"]
    assert [t["state"] for t in one.said("token", "ls")["tokens"]] == ["valid"]
    one.casdisk("token", "revoke", token)
    assert [t["state"] for t in two.said("token", "ls")["tokens"]] == ["revoked"]

    # The key is changed on one, while the other goes on.
    one.casdisk("user", "rotate-key", "--begin")
    two.casdisk("user", "add", "meanwhile")
    shutil.copy(one.key, two.key)
    one.casdisk("user", "rotate-key")
    assert len(two.said("user", "ls")["users"]) == 2
    two.casdisk("user", "add", "afterwards")
    assert len(one.said("user", "ls")["users"]) == 3

    # A key that was changed and not brought over.
    one.casdisk("user", "rotate-key")
    two.refused("bring that file", "user", "ls")

    # No server: an error that names it.
    redis.kill()
    error = f.casdisk_fails(3, "--store", one.store, "user", "ls")
    assert SOCKET in error, error


test()
