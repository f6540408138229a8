#!/usr/bin/python3 -B
"""Without file descriptors a server goes on with the disks it has open, tells what is missing, and takes up
the rest when there are some again; what starts with too few says so, or works. Nothing acknowledged is lost."""

import contextlib
import os
import resource
import subprocess
import time

import functions as f
from functions import CHUNK, MIB, nbd
from tools.guest import Guest

SIZE = 16 * MIB
SPARE = range(3, 27, 2)


def limit(server, count=None):
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard if count is None else count, hard))


def used(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def exhausted(guest):
    """The server has not one descriptor more than it uses now."""
    limit(guest.server, used(guest.server))
    guest.check("no descriptors")
    guest.write(4)
    guest.write(16 * 3, 16)
    assert guest.flushed(), "a flush needs a descriptor"
    # A client that cannot be accepted waits or is refused; disks that cannot be opened are errors.
    with contextlib.suppress(nbd.Error, subprocess.TimeoutExpired):
        subprocess.run(["nbdinfo", "--size", guest.server.uri], capture_output=True, timeout=0.3)
    guest.check("after a client that found no descriptor")
    # Few are not enough for all that it would open now.
    for spare in range(1, 12):
        limit(guest.server, used(guest.server) + spare)
        done = subprocess.run([f.CASDISK, "checkpoint", "web", f"with-{spare}", "--wait"], timeout=60,
                              capture_output=True, text=True)
        assert done.returncode in (0, 3, 4) and (done.returncode == 0 or done.stderr), done
        guest.write(16 * 5 + spare, 2)
        guest.check(f"{spare} descriptors")
    limit(guest.server)
    assert guest.flushed()
    guest.check("descriptors again")
    f.casdisk("checkpoint", "web", "after", "--wait")
    client = f.connected(guest.server.uri)
    assert bytes(client.pread(f.BLOCK, 4 * f.BLOCK)) == guest.blocks[4]
    client.shutdown()


def low_limit_at_start():
    """From none to enough: a clear error, or it works; the store is well after each."""
    worked = 0
    for count in (3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 64):
        for command in (["ls"], ["checkpoint", "web", f"at-{count}"], ["export", "web", f.tmp + "/out", "--force"],
                        ["seal", "other-3"]):
            done = subprocess.run([f.CASDISK, *command], capture_output=True, text=True, timeout=60,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count)))
            assert done.returncode in (0, 1, 3, 127), f"{count}: {command}: {done}"
            if done.returncode == 3:
                assert "open files" in done.stderr, f"{count}: {command}: {done.stderr}"
                assert "ulimit -n" in done.stderr, f"it does not say what to do: {done.stderr}"
            worked += done.returncode == 0
    assert worked > 0


def tries_to_connect(uri):
    """A connection, or None: where the server cannot accept, a client would wait in its queue."""
    client = nbd.NBD()
    end = time.monotonic() + 1
    with contextlib.suppress(nbd.Error):
        client.aio_connect_uri(uri)
        while not client.aio_is_ready() and time.monotonic() < end:
            client.poll(50)
        return client if client.aio_is_ready() else None
    return None


def serve_takes_all():
    """A shell's low soft limit is no limit of `serve`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    server = f.Serve("web")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(server.nbdkit_pid(), resource.RLIMIT_NOFILE) == (hard, hard)
    server.stop()


def disks_that_cannot_be_opened():
    """A client may get in and its disk's files not be opened or made: an error, and no other disk's."""
    for spare in SPARE:
        f.casdisk("create", f"other-{spare}", "--size", SIZE)
    server = f.Nbdkit()
    f.connected(server.export("web")).shutdown()  # by then it has all that it needs for itself
    written, failed = {}, 0
    for spare in SPARE:
        limit(server, used(server) + spare)
        client = tries_to_connect(server.export(f"other-{spare}"))
        data = bytes([spare]) * CHUNK
        try:
            client.pwrite(data, CHUNK)
            client.flush()
            written[spare] = client, data
        except (AttributeError, nbd.Error):
            failed += 1
        for earlier, expected in written.values():
            assert bytes(earlier.pread(CHUNK, CHUNK)) == expected
            earlier.pwrite(expected, 0)
        limit(server)
    assert written and failed, f"{len(written)} disks could be written, {failed} not"
    assert "open files" in server.logged() and "ulimit -n" in server.logged(), server.logged()[-2000:]
    for spare in SPARE:
        client = f.connected(server.export(f"other-{spare}"))
        if spare in written:
            assert bytes(client.pread(CHUNK, CHUNK)) == bytes([spare]) * CHUNK
        client.pwrite(b"x" * CHUNK, 0)
        client.flush()
        client.shutdown()
    server.kill()


def test():
    f.casdisk("init")
    f.casdisk("create", "web", "--size", SIZE)
    guest = Guest(SIZE)
    f.at_end.callback(guest.die)
    guest.write(0, 40)
    assert guest.flushed()
    exhausted(guest)
    guest.die()
    serve_takes_all()
    disks_that_cannot_be_opened()
    low_limit_at_start()
    guest.start()
    guest.check("at the end")


test()
