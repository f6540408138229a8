#!/usr/bin/python3 -B
"""Too little memory: a command says so with exit code 3, or works; it changes nothing by halves. A server that
gets none answers ENOMEM or dies and is replaced: what was acknowledged is there."""

import contextlib
import os
import resource
import subprocess
import time

import functions as f
from functions import CHUNK, MIB, nbd
from tools.guest import Guest

SIZE = 32 * MIB
# Heap and stacks; address space, which LMDB's maps need most of.
LIMITS = {resource.RLIMIT_DATA: [n * MIB for n in (1, 2, 4, 6, 8, 12, 16, 24, 40, 80, 200)],
          resource.RLIMIT_AS: [n * MIB for n in (40, 100, 1000, 10000, 100000)]}


def limited(kind, count, *arguments):
    """Whether it worked."""
    done = subprocess.run([f.CASDISK, *arguments], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL,
                          preexec_fn=lambda: resource.setrlimit(kind, (count, count)))
    if done.returncode in (127, -11) and not done.stderr.startswith("casdisk"):
        return False  # it did not even start: the loader, or no stack
    assert done.returncode in (0, 3), f"{count >> 20} MiB: {arguments}: {done}"
    assert done.returncode == 0 or "memory" in done.stderr, f"{count >> 20} MiB: {arguments}: {done.stderr}"
    return done.returncode == 0


def commands(image):
    worked = failed = 0
    for kind, counts in LIMITS.items():
        for count in counts:
            name = f"web-{kind}-{count >> 20}"
            done = limited(kind, count, "import", image, name)
            names = f.casdisk("ls")
            assert (name in names) == done, f"{name}: {done}"
            out = f.tmp + "/out.raw"
            if done and limited(kind, count, "export", name, out, "--force"):
                f.run("cmp", image, out)
            if done and limited(kind, count, "checkpoint", name, "c"):
                assert f"{name}@c" in f.casdisk("log", name)
            worked, failed = worked + done, failed + (not done)
    assert worked and failed, f"{worked} imports worked, {failed} failed"
    print(f"{worked} imports worked, {failed} failed")


def server():
    guest = Guest(SIZE, lambda: f.Serve("web", "--overlay-limit", "1M"))
    f.at_end.callback(guest.server.kill)
    errors = set()
    for round_number in range(6):
        pid = guest.server.nbdkit_pid()
        with contextlib.suppress(ProcessLookupError, TypeError):
            hard = resource.prlimit(pid, resource.RLIMIT_DATA)[1]
            resource.prlimit(pid, resource.RLIMIT_DATA, ((round_number + 1) * 16 * MIB, hard))
        for number in range(150):
            first = guest.rng.randrange(SIZE // CHUNK) * 16
            try:
                guest.write(first, 16)
            except nbd.Error as error:
                errors.add(error.errno)
                for i in range(16):  # nobody told it
                    guest.blocks.pop(first + i, None)
                if guest.client.aio_is_dead() or guest.client.aio_is_closed():
                    break
        with contextlib.suppress(nbd.Error, AssertionError):
            guest.flushed()
        with contextlib.suppress(ProcessLookupError, TypeError):
            pid = guest.server.nbdkit_pid()
            resource.prlimit(pid, resource.RLIMIT_DATA, (hard, hard))
        time.sleep(0.2)
        f.wait_until(30, lambda: connects(guest), "the server is back")
        guest.check(f"round {round_number}")
    assert errors <= {"ENOMEM", "EIO", "ENOTCONN", "ESHUTDOWN", "EPIPE", "ECONNRESET", "EINVAL", None}, errors
    assert guest.flushed()
    f.casdisk("checkpoint", "web", "after", "--wait")
    print(f"the server's errors: {errors or 'none'}")
    guest.check("at the end")


def connects(guest):
    try:
        guest.connect()
        return True
    except nbd.Error:
        return False


def test():
    f.casdisk("init")
    image = f.tmp + "/image.raw"
    with open(image, "wb") as file:
        file.write(os.urandom(SIZE // 2) + bytes(SIZE // 2))
    f.casdisk("create", "web", "--size", SIZE)
    commands(image)
    server()


test()
