#!/usr/bin/python3 -B
"""doctor says of machine and store what is in order and what is not, each with what to do about it."""

import json
import os
import signal
import subprocess

import functions as f
from tools import damage

STORE = os.environ["CASDISK_STORE"]


def doctor():
    """{subject: [finding]}; the exit code must fit."""
    done = subprocess.run([f.CASDISK, "doctor", "--json"], stdout=subprocess.PIPE, text=True)
    said = json.loads(done.stdout)
    assert done.returncode == (1 if said["problem_count"] else 0), done.returncode
    assert said["problem_count"] == sum(x["verdict"] == "problem" for x in said["findings"])
    found = {}
    for finding in said["findings"]:
        assert (finding["verdict"] == "ok") <= (finding["remedy"] is None), finding
        found.setdefault(finding["subject"], []).append(finding)
    return found


def verdicts(subject):
    return [finding["verdict"] for finding in doctor().get(subject, [])]


def test():
    found = doctor()
    assert found["store"][0]["verdict"] == "problem" and "init" in found["store"][0]["text"], found
    f.casdisk("init", "--codec", "none")
    with open(f"{f.tmp}/image", "wb") as file:
        file.write(os.urandom(10 * f.CHUNK))
    f.casdisk("import", f"{f.tmp}/image", "a")
    found = doctor()
    for subject in ("kernel", "io_uring", "open files", "nbdkit", "plugin", "clients", "file system",
                    "free space", "store", "reserve", "locations", "catalog", "packs", "disks"):
        assert found[subject][0]["verdict"] in ("ok", "note"), found[subject]
    assert "2 disks" not in found["disks"][0]["text"] and "1, with 1" in found["disks"][0]["text"]

    # A server that answers, and one that does not.
    server = f.Nbdkit("disk=a")
    assert verdicts("disk a") == [] or verdicts("disk a") == ["ok"]
    f.connected(server.uri).pread(f.BLOCK, 0)
    h = f.connected(server.uri)
    h.pwrite(bytes(f.BLOCK), 0)
    assert verdicts("disk a") == ["ok"]
    os.kill(server.process.pid, signal.SIGSTOP)
    stuck = doctor()["disk a"]
    os.kill(server.process.pid, signal.SIGCONT)
    assert [finding["verdict"] for finding in stuck] == ["problem"] and "kill" in stuck[0]["remedy"], stuck
    server.kill()
    assert verdicts("sockets") == ["note"]

    # A fallback that is gone; a pack that is none; what repair has noted as lost.
    with open(f"{f.tmp}/base", "wb") as file:
        file.write(os.urandom(2 * f.CHUNK))
    f.casdisk("create", "over", "--fallback", f"{f.tmp}/base")
    assert verdicts("disk over") == []
    os.rename(f"{f.tmp}/base", f"{f.tmp}/away")
    assert verdicts("disk over") == ["problem"]
    os.rename(f"{f.tmp}/away", f"{f.tmp}/base")
    pack = damage.packs_of(STORE)[0]
    damage.flip(pack, 9)
    assert verdicts("packs") == ["problem"]
    damage.flip(pack, 9)
    damage.records(STORE)[2].flip_payload()
    subprocess.run([f.CASDISK, "repair"], stdout=subprocess.PIPE)
    assert verdicts("losses") == ["problem"]

    os.remove(STORE + "/meta/data.mdb")
    text = subprocess.run([f.CASDISK, "doctor"], stdout=subprocess.PIPE, text=True).stdout
    assert "repair --rebuild" in text, text


test()
