#!/usr/bin/python3 -B
"""Garbage collection beside everything else: images that share their pieces are imported, forked,
checkpointed, read and removed by several processes while gc runs in a loop, and both gc and importers
are killed at random moments. Every checkpoint that was made and not removed has its content, whenever
it is read; what is open is read to its end although it was removed; when all is removed nothing is
left. CASDISK_SECONDS=60 for a longer run; CASDISK_SEED repeats one up to timing."""

import json
import os
import random
import subprocess
import threading
import time

import functions as f
from functions import MIB, nbd

SECONDS = float(os.environ.get("CASDISK_SECONDS", "20"))
PIECES, IMAGE_PIECES, KEPT = 10, 4, 5
seed = int(os.environ.get("CASDISK_SEED", random.SystemRandom().randrange(1 << 32)))
print(f"CASDISK_SEED={seed}", flush=True)
pieces = [random.Random(f"{seed}/piece/{i}").randbytes(MIB // 2) for i in range(PIECES)]
end = time.monotonic() + SECONDS
errors, counts, counting = [], {}, threading.Lock()


def count(what):
    with counting:
        counts[what] = counts.get(what, 0) + 1


def start(*arguments, **options):
    return subprocess.Popen([f.CASDISK, *map(str, arguments)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def killed_or_done(choose, process, what, share=0.3, most_seconds=0.3):
    """True when it came to its end, which must be a good one."""
    if choose.random() < share:
        time.sleep(choose.random() * most_seconds)
        process.kill()
        process.communicate()
        count("killed " + what)
        return process.returncode == 0
    said = process.communicate(timeout=200)[1]
    assert process.returncode == 0, f"{what}: status {process.returncode}: {said.decode()}"
    count(what)
    return True


def exported(name):
    process = start("export", name, "-")
    content, said = process.communicate(timeout=200)
    assert process.returncode == 0, f"export {name}: {said.decode()}"
    return content


def must_be(name, content):
    got = exported(name)
    assert got == content, f"{name} is not what it was: {len(got)} bytes, {len(content)} expected"
    count("verified")


class User:
    """Makes and removes disks of its own, and knows what is in them."""

    def __init__(self, number):
        self.choose = random.Random(f"{seed}/user/{number}")
        self.name = f"u{number}"
        self.image = f"{f.tmp}/image-{number}"
        self.kept = {}  # disk@checkpoint: content
        self.turn = 0

    def run(self):
        while time.monotonic() < end:
            self.turn += 1
            self.make(f"{self.name}-{self.turn}")
            if self.kept and self.choose.random() < 0.5:
                must_be(*self.choose.choice(sorted(self.kept.items())))
            if len(self.kept) > KEPT:
                self.remove(self.choose.choice(sorted(self.kept)))

    def make(self, disk):
        content = b"".join(self.choose.choice(pieces) for _ in range(IMAGE_PIECES))
        with open(self.image, "wb") as file:
            file.write(content)
        done = killed_or_done(self.choose, start("import", self.image, disk), "import")
        if not done and disk not in [d["name"] for d in json.loads(f.casdisk("ls", "--json"))["disks"]]:
            return
        self.kept[disk + "@import"] = content
        if self.choose.random() < 0.5:
            larger = self.choose.random() < 0.5
            size = len(content) + (self.choose.randrange(1, MIB) if larger else 0)
            f.casdisk("fork", disk + "@import", disk + "f", "--size", size)
            f.casdisk("checkpoint", disk + "f", "one")
            self.kept[disk + "f@one"] = content + bytes(size - len(content))

    def remove(self, name):
        content = self.kept.pop(name)
        disk = name.split("@")[0]
        if self.choose.random() < 0.5:
            f.casdisk("rm", disk)
            count("rm")
            return
        # Somebody is still at it: the pipe is full until the disk is gone and collected.
        reader = start("export", name, "-", bufsize=0)
        begin = reader.stdout.read(1000)
        f.casdisk("rm", disk)
        subprocess.run([f.CASDISK, "gc"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
        rest, said = reader.communicate(timeout=200)
        assert reader.returncode == 0, f"{name} was open: {said.decode()}"
        assert begin + rest == content, f"{name} was open, and is not what it was"
        count("read to its end")


class Guest:
    """A served disk that is written to, trimmed, checkpointed and rolled back."""

    def __init__(self):
        self.choose = random.Random(f"{seed}/guest")
        self.content = bytearray(IMAGE_PIECES * len(pieces[0]))
        self.kept = {}

    def run(self):
        f.casdisk("create", "web", "--size", len(self.content))
        server = f.Nbdkit("disk=web")
        client = f.connected(server.uri)
        turn = 0
        while time.monotonic() < end:
            turn += 1
            for _ in range(3):
                self.write(client)
            f.casdisk("checkpoint", "web", turn, "--wait")
            self.kept[f"web@{turn}"] = bytes(self.content)
            if self.choose.random() < 0.3:
                back = self.choose.choice(sorted(self.kept))
                f.casdisk("rollback", "web", back, "--force")
                self.content = bytearray(self.kept[back])
                count("rollback")
            if len(self.kept) > KEPT:
                gone = self.choose.choice(sorted(self.kept))
                del self.kept[gone]
                f.casdisk("rm", gone)
            assert f.read_all(client) == self.content, "the guest reads something else"
            count("guest")
        client.shutdown()
        server.stop()

    def write(self, client):
        piece = self.choose.choice(pieces)
        offset = self.choose.randrange(IMAGE_PIECES) * len(piece)
        if self.choose.random() < 0.3:
            client.trim(len(piece), offset)
            piece = bytes(len(piece))
        else:
            client.pwrite(piece, offset)
        self.content[offset:offset + len(piece)] = piece


def collect(number):
    choose = random.Random(f"{seed}/gc/{number}")
    while time.monotonic() < end:
        process = start("gc", "--min-garbage", choose.choice([0, 0, 10, 50]))
        if choose.random() < 0.4:
            killed_or_done(choose, process, "gc", share=1)
            continue
        said = process.communicate(timeout=200)[1].decode()
        # The other one, or one that a reader of a removed disk has asked for.
        assert process.returncode in (0, 4), f"gc: status {process.returncode}: {said}"
        count("gc" if process.returncode == 0 else "gc busy")


def guarded(body, *arguments):
    try:
        body(*arguments)
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


def packs():
    return sorted(os.listdir(f.tmp + "/store/packs"))


f.casdisk("init")
users = [User(number) for number in range(2)]
guest = Guest()
threads = [threading.Thread(target=guarded, args=(user.run,)) for user in users]
threads.append(threading.Thread(target=guarded, args=(guest.run,)))
threads += [threading.Thread(target=guarded, args=(collect, number)) for number in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{SECONDS:.0f} s: {counts}", flush=True)
assert not errors, f"seed {seed}: {errors}"
kept = {**guest.kept, **users[0].kept, **users[1].kept}
for _ in range(2):
    for name, content in kept.items():
        must_be(name, content)
    must_be("web", bytes(guest.content))
    f.casdisk("gc", "--min-garbage", 0)
for needed in ("gc", "killed gc", "import", "killed import", "guest"):
    assert counts.get(needed, 0) > 0, f"the test shows little: {counts}"
explained = json.loads(f.casdisk("gc", "--explain", "--json"))
assert explained["garbage_bytes"] == 0, explained
alone = sum(each["alone_bytes"] for each in explained["pinned"])
headers = 64 * explained["pack_count"]
kept_bytes = alone + explained["shared_bytes"] + explained["link_bytes"] + headers
assert kept_bytes == explained["stored_bytes"], f"{kept_bytes}: {explained}"
for disk in json.loads(f.casdisk("ls", "--json"))["disks"]:
    f.casdisk("rm", disk["name"])
f.casdisk("gc")
assert not packs(), f"left over: {packs()}"
for folder in ("views", "disks"):
    assert not os.listdir(f"{f.tmp}/store/{folder}"), os.listdir(f"{f.tmp}/store/{folder}")
