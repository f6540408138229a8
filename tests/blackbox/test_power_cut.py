#!/usr/bin/python3 -B
"""A power cut loses nothing that a flush covered: neither blocks of a disk nor a checkpoint.

A store lies on ext4, then on xfs, on a disk that forgets (tools/forgetful_disk.py). Round after round
clients write, zero, trim, flush and use FUA; the power fails under load or while a checkpoint is made;
what survived is mounted again, and a model (tools/block_model.py) judges every block. One more disk
answers flushes without doing anything: there the model must complain, or it could not fail.

    CASDISK_POWER_ROUNDS=20     that many times as many rounds
    CASDISK_SEED=SEED           the choices of an earlier run (not its timing)
"""

import hashlib
import json
import os
import random
import secrets
import shutil
import subprocess
import time

import functions as f
from functions import nbd
from tools.block_load import Load
from tools.block_model import BlockModel
from tools.forgetful_disk import Machine, requires_machine
from tools.writeback import Writeback

SEED = os.environ.get("CASDISK_SEED") or secrets.token_hex(4)
TIMES = int(os.environ.get("CASDISK_POWER_ROUNDS", "1"))
ROUNDS = {"ext4": 9, "xfs": 6}  # of one store, which they fill
FILE_SYSTEM_BYTES = 400 * f.MIB  # xfs wants 300
DISK_BYTES = 16 * f.MIB + 1234   # no multiple of a block


class Rounds:
    """One machine, its store with one disk, and what both must still have."""

    def __init__(self, name, kind):
        self.name = name
        self.machine = Machine(name, kind, FILE_SYSTEM_BYTES)
        self.store = f"{self.machine.path}/store"
        self.model = BlockModel(bytes(DISK_BYTES))
        self.checkpoints = {}  # name: digest of the disk's content; those reported done
        self.maybe = {}        # likewise of those that the power failed in
        self.pending = set()   # names of those that were seen pending
        self.went_back = 0
        self.machine.up()
        os.environ["CASDISK_STORE"] = self.store
        f.casdisk("init")
        f.casdisk("create", "web", "--size", DISK_BYTES)

    def verify(self):
        """After a restart: every block, every checkpoint. Then the disk as it is counts as flushed."""
        server = f.Nbdkit()
        client = f.connected(server.export("web"))
        content = f.read_all(client)
        complaints, went_back = self.model.judge(content)
        if complaints:
            raise AssertionError("\n".join([f"{len(complaints)} blocks are wrong", *complaints[:20]]))
        self.went_back += went_back
        client.flush()
        client.shutdown()
        self.model.reset(content)
        self.verify_checkpoints(server)
        return server

    def verify_checkpoints(self, server):
        """Those that were reported done are whole; so are others that are there. One that is pending
        is not sealed yet, but it is durable: it may not go away any more."""
        states = {entry["name"]: entry["state"]
                  for entry in json.loads(f.casdisk("log", "web", "--json"))["checkpoints"]}
        for name in list(self.maybe):
            state = states.get(f"web@{name}")
            if state == "kept":
                self.checkpoints[name] = self.maybe.pop(name)
            elif state == "pending":
                self.pending.add(name)
            else:
                assert name not in self.pending, f"checkpoint {name} was pending and is gone"
                del self.maybe[name]
        for name, expected in self.checkpoints.items():
            client = f.connected(server.export(f"web@{name}"))
            found = hashlib.sha256(f.read_all(client)).digest()
            assert found == expected, f"checkpoint {name} is not what it was"
            client.shutdown()

    def load(self, server, seconds, seed):
        load = Load(server.export("web"), self.model, seed)
        time.sleep(seconds)
        return load

    def load_in_peace(self, server, rng, seed):
        """Some load that nothing interrupts; afterwards the server is gone."""
        load = self.load(server, rng.uniform(0.1, 0.6), f"{seed}/peace")
        load.stop()
        if load.errors:
            raise load.errors[0]
        server.stop() if rng.random() < 0.5 else server.kill()

    def begin_checkpoint(self, name):
        self.maybe[name] = hashlib.sha256(self.model.content).digest()
        return subprocess.Popen([f.CASDISK, "--quiet", "checkpoint", "web", name], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def checkpoint(self, name):
        """One that succeeds."""
        process = self.begin_checkpoint(name)
        error = process.communicate()[1]
        if process.returncode:
            raise AssertionError(f"checkpoint: {error}")
        self.checkpoints[name] = self.maybe.pop(name)

    def cut_under_load(self, server, rng, seed):
        load = self.load(server, rng.uniform(0.05, 1.2), seed)
        early = list(load.errors)
        report = self.machine.cut(rng.randrange(1 << 60))
        time.sleep(rng.choice((0, 0.1, 0.3)))  # the server goes on as long as it can
        server.kill()
        load.stop()
        if early:
            raise early[0]
        return load.done_count, report

    def cut_in_checkpoint(self, rng, name):
        process = self.begin_checkpoint(name)
        time.sleep(rng.uniform(0, 0.4))
        done = process.poll() == 0
        report = self.machine.cut(rng.randrange(1 << 60))
        if done:
            self.checkpoints[name] = self.maybe.pop(name)
        time.sleep(rng.choice((0, 0.1)))
        process.kill()
        process.communicate()
        return 0, report

    def one(self, number, plan, seed):
        rng = random.Random(seed)
        server = self.verify()
        writeback = Writeback(self.store, DISK_BYTES, seed)
        try:
            if plan != "load":
                self.load_in_peace(server, rng, seed)
                if plan == "checkpoint, load":
                    self.checkpoint(f"c{number}")
                    server = f.Nbdkit()
            if plan == "load, checkpoint":
                done_count, report = self.cut_in_checkpoint(rng, f"c{number}")
            else:
                done_count, report = self.cut_under_load(server, rng, seed)
        finally:
            writeback.stop()
        self.machine.off()
        print(f"{self.name} {number} ({plan}): {done_count} requests, cut: {report}", flush=True)
        self.machine.up()

    def end(self):
        self.verify().stop()
        self.checkpoint("last")  # whoever comes first seals what is pending
        self.verify().stop()
        assert not self.maybe, f"still not sealed: {list(self.maybe)}"
        self.machine.check()
        self.machine.off()
        self.machine.remove()


PLANS = ("load", "checkpoint, load", "load, checkpoint")


def test_file_system(kind, time_number):
    name = f"{kind}-{time_number}"
    rounds = Rounds(name, kind)
    for number in range(ROUNDS[kind]):
        rounds.one(number, PLANS[number % len(PLANS)], f"{SEED}/{name}/{number}")
    rounds.end()
    print(f"{kind}: {rounds.went_back} blocks went back to an older content, as they may; "
          f"{len(rounds.checkpoints)} checkpoints are whole")
    return rounds.went_back


def test_that_it_can_fail():
    """A disk whose flushes do nothing must be found out."""
    rounds = Rounds("liar", "ext4")
    rounds.verify().stop()
    rounds.machine.check()
    rounds.machine.off()
    rounds.machine.lies = True
    rounds.machine.up()
    try:
        rounds.one(0, "load", f"{SEED}/liar")
        rounds.verify()
    except (AssertionError, nbd.Error) as complaint:
        print("a disk that lies is found out:", str(complaint).splitlines()[0])
        return
    raise AssertionError("a disk that forgets what was flushed was not noticed")


def test():
    requires_machine("ext4")
    print(f"CASDISK_SEED={SEED}", flush=True)
    kinds = [kind for kind in ROUNDS if shutil.which(f"mkfs.{kind}")]
    test_that_it_can_fail()
    went_back = sum(test_file_system(kind, i) for i in range(TIMES) for kind in kinds)
    # Otherwise no cut was one.
    assert went_back > 0, "no block went back to an older content: what is cut here?"


test()
