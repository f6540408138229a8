#!/usr/bin/python3 -B
"""A storm of signals under load: the server is stopped and continued, hung up on, and told of broken pipes; so
are commands. No request fails, nothing is lost, and what ends says so."""

import os
import random
import signal
import subprocess
import threading
import time

import functions as f
from functions import MIB
from tools.block_load import Load
from tools.block_model import BlockModel

SIZE = 8 * MIB
SECONDS = 5
HARMLESS = (signal.SIGSTOP, signal.SIGCONT, signal.SIGPIPE, signal.SIGWINCH, signal.SIGCHLD, signal.SIGURG)


def storm(pids, stopping, rng):
    while not stopping.is_set():
        for pid in pids:
            for _ in range(rng.randrange(4)):
                os.kill(pid, rng.choice(HARMLESS))
        time.sleep(rng.choice((0.001, 0.01, 0.2)))
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def stormed_command(*arguments):
    """It succeeds, whatever it is stopped and continued by."""
    process = subprocess.Popen([f.CASDISK, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(20):
        for number in (signal.SIGSTOP, signal.SIGCONT):
            process.send_signal(number)
            time.sleep(0.001)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, f"{arguments}: {process.returncode}: {said}"


def under_load(server, model):
    stopping = threading.Event()
    pids = [server.process.pid, server.nbdkit_pid()]
    thread = threading.Thread(target=storm, args=(pids, stopping, random.Random(1)), daemon=True)
    load = Load(server.uri, model, 1)
    thread.start()
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        stormed_command("checkpoint", "web", f"c{number}", "--wait")
        number += 1
    stopping.set()
    thread.join()
    load.stop()
    assert not load.errors, load.errors
    assert server.nbdkit_pid() == pids[1], "the server was replaced: " + server.logged()
    print(f"{load.done_count} requests, {number} checkpoints")


def judge(server, model):
    client = f.connected(server.uri)
    complaints, _ = model.judge(f.read_all(client), power_failed=False)
    assert not complaints, complaints[:5]
    client.shutdown()


def test():
    f.casdisk("init")
    f.casdisk("create", "web", "--size", SIZE)
    model = BlockModel(bytes(SIZE))
    server = f.Serve("web", "--seal-idle", "1", "--overlay-limit", "1M")
    under_load(server, model)
    judge(server, model)
    # SIGHUP is an end like any other, in the middle of things, twice over.
    load = Load(server.uri, model, 2)
    time.sleep(0.5)
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
        server.process.send_signal(number)
    assert server.process.wait(20) == 0, server.logged()
    load.stop()
    f.wait_until(10, lambda: '"idle"' in f.casdisk("status", "web", "--json"), "the lease is free")
    server = f.Serve("web")
    judge(server, model)
    # Nobody reads what a command prints, or the pipe is closed: it ends, and the store does not care.
    for command in ("ls", "log web", "export web -"):
        f.run("bash", "-c", f'"{f.CASDISK}" {command} | head -c 1 >/dev/null')
    judge(server, model)
    server.stop()


test()
