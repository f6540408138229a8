#!/usr/bin/python3 -B
"""The power fails under a whole server: nothing that was flushed and no command that succeeded is lost.

A store with several disks lies on ext4, then on xfs, on a disk that forgets (tools/forgetful_disk.py).
`casdisk serve --all` serves it; clients write, zero, trim, flush and use FUA on every disk, while
commands make checkpoints (alone and as a group), fork, seal, flush, roll back, resize, remove and
collect garbage. The power fails at a random moment; the file system is mounted again, which replays its
journal, and the store opened. Then, of each disk, a model judges every block of 4 KiB; each checkpoint
and fork whose command had succeeded is there, is the disk at one moment of its command, and is byte for
byte what it was if it was read before; others are whole or absent, of a group all or none; what was
removed stays so; a rollback or resize has happened or not.

One more disk answers flushes and does nothing: what the model does not notice there, it never would.

    CASDISK_POWER_ROUNDS=20     that many times as many rounds
    CASDISK_SEED=SEED           the choices of an earlier run (not its timing)
"""

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import threading
import time

import functions as f
from functions import MIB, nbd
from tools.block_load import Load
from tools.block_model import BlockModel
from tools.forgetful_disk import Machine, requires_machine
from tools.writeback import Writeback

SEED = os.environ.get("CASDISK_SEED") or secrets.token_hex(4)
TIMES = int(os.environ.get("CASDISK_POWER_ROUNDS", "1"))
ROUNDS = {"ext4": 5, "xfs": 5}  # of one store
FILE_SYSTEM_BYTES = 512 * MIB
# The last is no multiple of a block; chunks are shared by blocks in all of them.
DISKS = {"a": 6 * MIB, "b": 3 * MIB, "c": 4 * MIB + 1234}
MAX_DISK_BYTES = 8 * MIB
MAX_COMMANDS, MAX_ROUND_SECONDS = 10, 5  # before the power fails
MAX_TAKEN = 12  # checkpoints and forks of a disk: beyond, some are removed


class Taken:
    """A checkpoint or fork: what it may hold, and whether its command has succeeded."""

    def __init__(self, moment, group=()):
        self.moment, self.group = moment, group
        self.promised = False  # it must be there
        self.removing = False  # it may be gone


class Disk:
    """A disk of the store, its clients, and what it and its checkpoints must hold."""

    def __init__(self, name, size_bytes):
        self.name = name
        self.model = BlockModel(bytes(size_bytes))
        self.load = None
        self.instead = None  # the content after a rollback or resize of which nobody knows
        self.taken = {}      # "a@c1" or the name of a fork: Taken

    def start(self, server, seed):
        self.load = Load(export(server, self.name), self.model, seed, writer_count=2)

    def stop(self):
        """What its clients did; fails when one of them had an error."""
        self.load.stop()
        if self.load.errors:
            raise self.load.errors[0]

    def judge(self, content):
        """How many blocks went back. From then on the content, as it is, counts as durable."""
        complaints, went_back = self.model.judge(content)
        if complaints and (self.instead is None or content != self.instead):
            raise AssertionError("\n".join([f"disk {self.name}: {len(complaints)} blocks are wrong",
                                            *complaints[:20]]))
        self.model.reset(content)
        self.instead = None
        return went_back


def export(server, name):
    return server.uri.replace("/?", f"/{name}?")


def read(server, name):
    client = f.connected(export(server, name))
    content = f.read_all(client)
    client.shutdown()
    return content


def end_at_once(server):
    """kill -9, of the supervisor first, which would replace the other."""
    nbdkit = server.nbdkit_pid()
    server.kill()
    if nbdkit:
        os.kill(nbdkit, signal.SIGKILL)


def has_command(name):
    return f.succeeds(f.CASDISK, name, "--help")


class Operator:
    """Gives commands, one after another, until told to stop or the power fails."""

    def __init__(self, server, disks, prefix, rng):
        self.server, self.disks, self.rng = server, disks, rng
        self.prefix = prefix
        self.error, self.process = None, None
        self.counts, self.begun_count = {}, 0
        self.power_failed = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def end(self):
        """After the power has failed: the command under way is killed. Fails if one failed before."""
        process = self.process
        if process:
            process.kill()
        self.thread.join(60)
        assert not self.thread.is_alive(), "a command hangs"
        if self.error:
            raise self.error

    def _run(self):
        acts = [self.checkpoint] * 5 + [self.group] * 2 + [self.fork] * 2 + [self.seal] * 2 + [
            self.flush, self.roll_back, self.roll_back, self.resize, self.remove, self.read_back]
        if has_command("gc"):
            acts += [self.collect_garbage] * 2
        try:
            time.sleep(self.rng.uniform(0.1, 0.5))
            while not self.power_failed.is_set():
                self.begun_count += 1
                act = self.rng.choice(acts)
                act(self.rng.choice(list(self.disks.values())), f"{self.prefix}-{self.begun_count}")
                time.sleep(self.rng.choice((0, 0, 0.05)))
        except (AssertionError, OSError, nbd.Error) as error:
            if not self.power_failed.is_set():
                self.error = error

    def casdisk(self, *arguments, may_be=()):
        """True when it has succeeded: then its effect is durable, whenever that is. Only after a power
        cut it may fail, or with an exit code of `may_be`."""
        self.process = subprocess.Popen([f.CASDISK, "--quiet", *map(str, arguments)], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        said = self.process.communicate()[1]
        code = self.process.returncode
        kind = arguments[0] if code == 0 else f"{arguments[0]}: {code}"
        self.counts[kind] = self.counts.get(kind, 0) + 1
        assert code in (0, *may_be) or self.power_failed.is_set(), f"{arguments}: exit code {code}: {said}"
        return code == 0

    def _take(self, disks, names, *command, may_be=()):
        """`command` keeps each of `disks` under the name of its own, and makes durable what was
        acknowledged before it (docs/CLI.md)."""
        began = [(disk.model.flush_begins(), disk.model.moment_begins()) for disk in disks]
        for disk, name, (_, first) in zip(disks, names, began):
            disk.taken[name] = Taken(None, names)
        done = self.casdisk(*command, may_be=may_be)
        for disk, name, (time_, first) in zip(disks, names, began):
            disk.taken[name].moment = disk.model.moment_ended(first)
            disk.taken[name].promised = done
            if done:
                disk.model.flush_done(time_)

    def checkpoint(self, disk, number):
        wait = ["--wait"] if self.rng.random() < 0.3 else []
        self._take([disk], [f"{disk.name}@{number}"], "checkpoint", disk.name, number, *wait)

    def group(self, _disk, number):
        # 4: on a busy machine no attempt may come through.
        self._take(list(self.disks.values()), [f"{name}@{number}" for name in self.disks],
                   "checkpoint", *self.disks, "--group", number, may_be=(4,))

    def fork(self, disk, number):
        self._take([disk], [number], "fork", disk.name, number)

    def seal(self, disk, _number):
        self.casdisk("seal", disk.name, *(["--wait"] if self.rng.random() < 0.5 else []))

    def flush(self, disk, _number):
        began = disk.model.flush_begins()
        if self.casdisk("flush", disk.name):
            disk.model.flush_done(began)

    def read_back(self, disk, _number):
        """What is read once must be the same ever after."""
        name, taken = self._any(disk, "@")
        if name:
            complaints = taken.moment.judge(read(self.server, name))
            assert not complaints, f"{name}: {complaints[:5]}"

    def _any(self, disk, sign=""):
        known = [(name, taken) for name, taken in disk.taken.items()
                 if taken.promised and not taken.removing and sign in name]
        return self.rng.choice(known) if known else (None, None)

    def _change(self, disk, content, *command):
        """`command` gives the disk that content, at once and durably, while it has no clients."""
        disk.instead = content
        if self.casdisk(*command):
            disk.model.reset(content)
            disk.instead = None

    def roll_back(self, disk, number):
        name, taken = self._any(disk, "@")
        if not name:
            return
        content = read(self.server, name)
        complaints = taken.moment.judge(content)
        assert not complaints, f"{name}: {complaints[:5]}"
        disk.stop()
        self._change(disk, content, "rollback", name, "--force")
        disk.start(self.server, f"{number}/{self.rng.random()}")

    def resize(self, disk, number):
        disk.stop()
        # Of what is not flushed a shrink may leave any part: this is about the rest.
        if self.casdisk("flush", disk.name):
            content = bytes(disk.model.content)
            disk.model.reset(content)
            size = self.rng.randrange(MIB, MAX_DISK_BYTES)
            resized = content[:size] + bytes(max(0, size - len(content)))
            self._change(disk, resized, "resize", disk.name, size, "--shrink")
        disk.start(self.server, f"{number}/{self.rng.random()}")

    def remove(self, disk, _number):
        if len(disk.taken) < MAX_TAKEN and self.rng.random() < 0.7:
            return
        name, taken = self._any(disk)
        if not name:
            return
        taken.removing = True
        if self.casdisk("rm", name, may_be=(4,)):  # 4: a fork that waits for its seal is open
            del disk.taken[name]
        elif not self.power_failed.is_set():
            taken.removing = False

    def collect_garbage(self, _disk, _number):
        self.casdisk("gc")


class Rounds:
    """One machine, its store, and what it must still have."""

    def __init__(self, name, kind):
        self.name = name
        self.machine = Machine(name, kind, FILE_SYSTEM_BYTES)
        self.store = f"{self.machine.path}/store"
        self.disks = {disk: Disk(disk, size) for disk, size in DISKS.items()}
        self.counts = {"blocks that went back": 0, "checkpoints and forks judged": 0, "absent": 0}
        self.machine.up()
        os.environ["CASDISK_STORE"] = self.store
        f.casdisk("init")
        for disk, size in DISKS.items():
            f.casdisk("create", disk, "--size", size)

    def serve(self):
        path = f"{f.tmp}/serve-{len(f.servers)}.sock"
        return f.Serve("--all", "--socket", path, "--overlay-limit", "2M", "--seal-idle", "1")

    def until_the_power_fails(self, operator, rng, least_commands):
        """After some requests, in the midst of a command."""
        end = time.monotonic() + MAX_ROUND_SECONDS
        wanted = rng.randint(least_commands, MAX_COMMANDS)
        while operator.begun_count < wanted and not operator.error and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(rng.choice((0.005, 0.05, 0.2)) * rng.random())

    def one(self, number, least_commands=1):
        seed = f"{SEED}/{self.name}/{number}"
        rng = random.Random(seed)
        server = self.serve()
        for disk in self.disks.values():
            disk.start(server, f"{seed}/{disk.name}")
        writeback = Writeback(self.store, MAX_DISK_BYTES, seed)
        operator = Operator(server, self.disks, f"n{number}", rng)
        try:
            self.until_the_power_fails(operator, rng, least_commands)
            operator.power_failed.set()
            early = [error for disk in self.disks.values() for error in disk.load.errors]
            report = self.machine.cut(rng.randrange(1 << 60))
            time.sleep(rng.choice((0, 0.1, 0.3)))  # the server goes on as long as it can
        finally:
            end_at_once(server)
            operator.end()
            for disk in self.disks.values():
                disk.load.stop()
            writeback.stop()
        if early:
            raise early[0]
        request_count = sum(disk.load.done_count for disk in self.disks.values())
        print(f"{self.name} {number}: {request_count} requests, {operator.counts}, cut: {report}", flush=True)
        self.machine.off()
        self.machine.up()
        return report

    def verify(self):
        """After a restart, that nothing is missing."""
        server = f.Nbdkit()
        for disk in self.disks.values():
            self.counts["blocks that went back"] += disk.judge(read(server, disk.name))
        present = self.names()
        for disk in self.disks.values():
            for name, taken in list(disk.taken.items()):
                if not self.verify_taken(server, present, name, taken):
                    del disk.taken[name]
        for disk in self.disks:
            client = f.connected(export(server, disk))
            client.flush()  # as it was judged it must stay
            client.shutdown()
        server.stop()
        if has_command("verify"):
            f.casdisk("verify", "--quiet")

    def names(self):
        names = {disk["name"] for disk in json.loads(f.casdisk("ls", "--json"))["disks"]}
        for disk in self.disks:
            names |= {each["name"] for each in json.loads(f.casdisk("log", disk, "--json"))["checkpoints"]
                      if each["state"] != "removed"}
        return names

    def verify_taken(self, server, present, name, taken):
        """Whether it is there. Once it was, it may not go away any more."""
        if name not in present:
            assert taken.removing or not taken.promised, f"{name} is gone"
            if not taken.removing:
                assert not present & set(taken.group), f"of {taken.group} some are there"
            self.counts["absent"] += 1
            return False
        complaints = taken.moment.judge(read(server, name))
        assert not complaints, f"{name}: {complaints[:5]}"
        self.counts["checkpoints and forks judged"] += 1
        taken.promised, taken.removing = True, False
        return True

    def end(self):
        self.machine.check()
        self.machine.off()
        self.machine.remove()


def test_file_system(kind, time_number):
    rounds = Rounds(f"{kind}-{time_number}", kind)
    for number in range(ROUNDS[kind]):
        report = rounds.one(number)
        # Flushes and FUA reach the disk through loop device and FUSE; otherwise it forgets everything.
        assert report["flushes"] > 0, f"nothing was flushed: {report}"
        rounds.verify()
    rounds.end()
    print(f"{kind}: {rounds.counts}", flush=True)
    return rounds.counts


def test_that_it_can_fail():
    """A disk whose flushes do nothing must be found out."""
    rounds = Rounds("liar", "ext4")
    rounds.machine.check()
    rounds.machine.off()
    rounds.machine.lies = True
    rounds.machine.up()
    try:
        rounds.one(0, least_commands=4)
        rounds.verify()
    except (AssertionError, nbd.Error, subprocess.CalledProcessError) as complaint:
        print("a disk that lies is found out:", str(complaint).splitlines()[0], flush=True)
        return
    raise AssertionError("a disk that forgets what was flushed was not noticed")


def test():
    requires_machine("ext4")
    print(f"CASDISK_SEED={SEED}", flush=True)
    test_that_it_can_fail()
    counts = [test_file_system(kind, number) for number in range(TIMES) for kind in ROUNDS
              if shutil.which(f"mkfs.{kind}")]
    # Otherwise no cut was one.
    assert sum(count["blocks that went back"] for count in counts) > 0, "no block went back: what is cut here?"


test()
