#!/usr/bin/python3 -B
"""A clock that jumps by years, back and forth, before 1970's end too: checkpoints keep their order, which is that
of their making, their times are those of the clock, each has its content, and nothing waits for a time to
come. libfaketime sets the clock; its file changes it under a server that runs."""

import json
import os
import subprocess
import time

import functions as f
from functions import MIB

SIZE = 4 * MIB
YEARS = ("2026-11-21", "2031-01-01", "1999-12-31", "1970-01-02", "2038-01-19", "2106-02-08", "2026-11-22")


def library():
    found = subprocess.run(["dpkg-query", "-L", "libfaketime"], capture_output=True, text=True).stdout.split()
    found = [path for path in found if path.endswith("/libfaketimeMT.so.1")]
    if not found:
        f.skip("needs libfaketime")
    return found[0]


def set_clock(day):
    path = f.tmp + "/clock"
    with open(path + ".new", "w") as file:
        file.write(f"@{day} 12:00:00")
    os.rename(path + ".new", path)


def fill(uri, number):
    client = f.connected(uri)
    client.pwrite(bytes([number + 1]) * MIB, 0)
    client.flush()
    client.shutdown()


def log():
    return json.loads(f.casdisk("log", "web", "--json"))["checkpoints"]


def check(made):
    """`made`: (name, day, first byte), in the order of their making."""
    entries = [entry for entry in log() if entry["state"] != "aside"]
    assert [entry["name"] for entry in entries] == [f"web@{name}" for name, _, _ in reversed(made)], entries
    for entry, (name, day, byte) in zip(entries, reversed(made)):
        assert entry["state"] == "kept" and entry["time"].startswith(day), entry
        f.casdisk("export", f"web@{name}", f.tmp + "/out.raw", "--force")
        with open(f.tmp + "/out.raw", "rb") as file:
            assert file.read(2) == bytes([byte] * 2), name


def test():
    os.environ["TZ"] = "UTC"
    faked = {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": f.tmp + "/clock", "FAKETIME_NO_CACHE": "1",
             "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # a jump of the wall clock: the monotonic one goes on
    set_clock(YEARS[0])
    f.casdisk("init")
    f.casdisk("create", "web", "--size", SIZE)
    os.environ.update(faked)
    made = []
    # Commands alone, each with another clock.
    for number, day in enumerate(YEARS):
        set_clock(day)
        server = f.Nbdkit("disk=web")
        fill(server.uri, number)
        server.stop()
        f.casdisk("checkpoint", "web", f"alone-{number}")
        made.append((f"alone-{number}", day, number + 1))
    check(made)
    # Under a server that seals by itself when a disk is idle.
    server = f.Serve("web", "--seal-idle", "1")
    for number, day in enumerate(YEARS):
        set_clock(day)
        began = time.monotonic()
        fill(server.uri, number + 50)
        f.casdisk("checkpoint", "web", f"live-{number}", "--wait")
        assert time.monotonic() - began < 20, f"{day}: something waits for the clock"
        made.append((f"live-{number}", day, number + 51))
    check(made)
    # Names that are made of the time do not clash with what is there.
    set_clock(YEARS[0])
    names = {f.casdisk("checkpoint", "web").split()[0]}
    set_clock(YEARS[2])
    names.add(f.casdisk("checkpoint", "web").split()[0])
    assert len(names) == 2, names
    f.casdisk("rollback", "web@alone-3", "--force")
    server.stop()
    f.casdisk("fork", "web@live-2", "copy")
    check(made[:4])


test()
