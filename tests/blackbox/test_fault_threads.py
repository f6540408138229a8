#!/usr/bin/python3 -B
"""No more threads or processes: what can do with fewer does, the rest is an error that says so, and nothing that
was acknowledged is lost. As nobody, since root has no such limit."""

import os
import resource
import shutil
import subprocess
import sys

import functions as f
from functions import MIB

NOBODY = 64990  # a user with no processes of others
SIZE = 8 * MIB


def limited(count):
    """Becomes that user with at most `count` processes and threads."""
    def become():
        resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    return become


def casdisk(count, *arguments):
    done = subprocess.run([f.CASDISK, *arguments], preexec_fn=limited(count), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode in (0, 3), f"{count} threads: {arguments}: {done}"
    assert done.returncode == 0 or done.stderr.startswith("casdisk: "), f"{count} threads: {arguments}: {done}"
    return done.returncode == 0


def commands(image):
    """With one thread and with few: they work, just slower."""
    for count in (1, 2, 3, 5):
        name = f"web-{count}"
        assert casdisk(count, "import", image, name), f"import with {count} threads"
        assert casdisk(count, "checkpoint", name, "c"), f"checkpoint with {count} threads"
        out = f"{f.tmp}/public/{name}.raw"
        assert casdisk(count, "export", name, out), f"export with {count} threads"
        f.run("cmp", image, out)
        assert casdisk(count, "rm", name)


def servers(image):
    """From too few threads to enough: it does not start, and says why, or it serves what it was asked for."""
    assert casdisk(100, "import", image, "web")
    started = 0
    for count in (1, 2, 3, 4, 6, 9, 14, 22, 30, 60):
        socket = f"{f.tmp}/public/{count}.sock"
        server = subprocess.Popen([f.CASDISK, "serve", "web", "--socket", socket, "--threads", "4"],
                                  preexec_fn=limited(count), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        f.at_end.callback(server.kill)
        uri = server.stdout.readline().strip()
        if not uri:
            said = server.communicate(timeout=20)[1]
            clear = "\ncasdisk: " in "\n" + said and "ulimit -u" in said
            assert server.returncode == 3 and clear, f"{count} threads: {server.returncode}: {said}"
            continue
        started += use(uri, count)
        server.terminate()
        server.communicate(timeout=20)
    assert started > 2, f"{started} servers served"


def use(uri, count):
    """Whether a client was let in; if it was, all is as it should be."""
    program = f"""
import nbd
data, at = bytes([{count}]) * 65536, 65536 * {count}
client = nbd.NBD()
client.connect_uri("{uri}")
client.pwrite(data, at)
client.flush()
assert client.pread(65536, at) == data
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        return False
    served[count] = True
    casdisk(count, "checkpoint", "web", f"with-{count}")
    return True


served = {}


def test():
    if os.getuid() != 0:
        f.skip("needs root")
    f.requires("setpriv", "--version")
    os.chmod(f.tmp, 0o711)
    os.mkdir(f.tmp + "/public")
    os.chmod(f.tmp + "/public", 0o777)
    for name in ("CASDISK", "PLUGIN"):  # where that user may go
        setattr(f, name, shutil.copy(getattr(f, name), f.tmp))
    os.environ["CASDISK_PLUGIN"] = f.PLUGIN
    os.environ["CASDISK_STORE"] = f.tmp + "/public/store"
    image = f.tmp + "/public/image.raw"
    with open(image, "wb") as file:
        file.write(os.urandom(SIZE))
    assert casdisk(50, "init")
    commands(image)
    servers(image)
    assert casdisk(50, "export", "web", f.tmp + "/public/web.raw")
    with open(f.tmp + "/public/web.raw", "rb") as file:
        for count in served:
            file.seek(65536 * count)
            assert file.read(65536) == bytes([count]) * 65536, f"what was written with {count} threads"


test()
