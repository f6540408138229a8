#!/usr/bin/python3 -B
"""kill -9 of the server at random moments of checkpoints, group checkpoints, forks, seals, rollbacks and
resizes of disks that are being written to. Afterwards the store opens, each checkpoint is whole or
absent (of a group: of all disks or of none), one whose command has succeeded is there, each is the
disk at one moment of its command, and the disks hold everything that was acknowledged.

The seed is printed; CASDISK_SEED repeats a run up to the timing of the kills."""

import json
import os
import random
import subprocess
import sys
import time

import functions as f
from functions import BLOCK

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
from numbered_writes import Writer  # noqa: E402

ROUNDS = int(os.environ.get("CASDISK_ROUNDS", "40"))
BLOCKS = 1024  # of writers; the disk may be larger
DISKS = ("a", "b")
seed = int(os.environ.get("CASDISK_SEED", random.SystemRandom().randrange(1 << 32)))
rng = random.Random(seed)
print(f"CASDISK_SEED={seed}", flush=True)


class Taken:
    """A checkpoint or fork that was asked for: what its disk's writers had done before and after."""

    def __init__(self, disk, before):
        self.disk, self.before, self.after, self.group = disk, before, None, None
        self.content = None  # once it was read


taken = {}  # name, "a@c1" or "f2": Taken
writers = {disk: [Writer(i * BLOCKS // 2, BLOCKS // 2) for i in range(2)] for disk in DISKS}
counts = {"done": 0, "cut short": 0, "whole": 0, "absent": 0}


def positions(disk):
    return [writer.position() for writer in writers[disk]]


def casdisk(*arguments):
    """True when it has succeeded; it must not hang, and fails with a message."""
    done = subprocess.run([f.CASDISK, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)
    counts["done" if done.returncode == 0 else "cut short"] += 1
    assert done.returncode in (0, 1, 3, 4) and (done.returncode == 0 or done.stderr), (arguments, done)
    return done.returncode == 0


def take(names, *command):
    """`command` makes `names`, each of its disk: one moment of them all."""
    for name, disk in names:
        taken[name] = Taken(disk, positions(disk))
        taken[name].group = [other for other, _ in names]
    if casdisk(*command):
        for name, disk in names:
            taken[name].after = positions(disk)


def act(number):
    """One command; gives what the disks may hold instead if it is cut short: {disk: content}."""
    disk = rng.choice(DISKS)
    choice = rng.random()
    if choice < 0.35:
        take([(f"{disk}@c{number}", disk)], "checkpoint", disk, f"c{number}")
    elif choice < 0.55:
        take([(f"{each}@g{number}", each) for each in DISKS], "checkpoint", *DISKS, "--group", f"g{number}")
    elif choice < 0.65:
        take([(f"f{number}", disk)], "fork", disk, f"f{number}")
    elif choice < 0.75:
        casdisk("seal", disk)
    elif choice < 0.85:
        casdisk("resize", disk, BLOCKS * BLOCK + rng.randrange(1 << 20), "--shrink")
    else:
        roll_back(disk)


rolled_back = {}  # disk: content, while it is not known whether it happened


def roll_back(disk):
    known = [(name, each) for name, each in taken.items() if each.content and name.startswith(disk + "@")]
    if not known:
        return
    name, chosen = rng.choice(known)
    for writer in writers[disk]:
        writer.pause()
    rolled_back[disk] = chosen.content
    if casdisk("rollback", disk, name.split("@")[1], "--force"):
        for writer in writers[disk]:
            writer.jump(chosen.content)
        del rolled_back[disk]
    # Killed meanwhile, the writers have ended or will.
    for writer in writers[disk]:
        writer.go_on()


def judge_disk(server, disk):
    """The head holds all that was acknowledged, or what it was rolled back to."""
    content = f.read_all(f.connected(server.export(disk)))[:BLOCKS * BLOCK]
    moments = [writer.moment_of(content, writer.position(), writer.position() + 1)
               for writer in writers[disk]]
    if None in moments:
        assert content == rolled_back.get(disk), f"disk {disk} has lost something: {moments}, seed {seed}"
    return content


def judge_taken(server, name, each, names):
    """It is whole, or absent though its command has not succeeded."""
    if name not in names:
        assert each.after is None, f"{name} is gone, seed {seed}"
        assert not set(each.group) & names, f"of {each.group} some are there, seed {seed}"
        counts["absent"] += 1
        return False
    content = f.read_all(f.connected(server.export(name)))[:BLOCKS * BLOCK]
    for writer, least, most in zip(writers[each.disk], each.before, each.after or positions(each.disk)):
        found = writer.moment_of(content, least, most + 1)
        assert found is not None, f"{name} is not the disk between {least} and {most} writes, seed {seed}"
    each.content = content
    counts["whole"] += 1
    return True


def names_of_store():
    disks = [disk["name"] for disk in json.loads(f.casdisk("ls", "--json"))["disks"]]
    names = set(disks)
    for disk in DISKS:
        names |= {each["name"] for each in json.loads(f.casdisk("log", disk, "--json"))["checkpoints"]
                  if each["state"] != "removed"}
    return names


f.casdisk("init")
for disk in DISKS:
    f.casdisk("create", disk, "--size", BLOCKS * BLOCK)
number = 0
for round_number in range(ROUNDS):
    server = f.Nbdkit(*rng.choice(((), ("io=posix",))))
    for disk in DISKS:
        for writer in writers[disk]:
            writer.start(server.export(disk), random.Random(rng.random()).randrange)
    new_names = len(taken)
    # The kill comes while commands run, from a process that sleeps until then.
    killer = subprocess.Popen(["sh", "-c", f"sleep {0.05 + rng.random() * 0.5:.3f}; kill -9 {server.process.pid}"])
    while killer.poll() is None:
        number += 1
        act(number)
    server.kill()
    for disk in DISKS:
        for writer in writers[disk]:
            writer.stop()

    server = f.Nbdkit()
    try:
        contents = {disk: judge_disk(server, disk) for disk in DISKS}
    except f.nbd.Error:
        sys.exit(f"FAIL: round {round_number}, seed {seed}: the server says\n{server.logged()}")
    names = names_of_store()
    for name, each in list(taken.items()):
        if each.content is None and not judge_taken(server, name, each, names):
            del taken[name]
    if round_number % 10 == 9:  # the old ones, still
        for name in rng.sample(sorted(taken), min(5, len(taken))):
            assert f.read_all(f.connected(server.export(name)))[:BLOCKS * BLOCK] == taken[name].content, name
    for disk in DISKS:
        for writer in writers[disk]:
            writer.reset(contents[disk])
    rolled_back.clear()
    server.kill()
print(f"{ROUNDS} rounds: {counts}")
assert counts["whole"] > 0
