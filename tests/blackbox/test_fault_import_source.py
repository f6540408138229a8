#!/usr/bin/python3 -B
"""An NBD server that is imported from and fails, hangs up, or does not answer: the import ends with an
error that names the source, or when told to, and leaves no disk; the next import is as if there had been none."""

import os
import signal
import subprocess
import time

import functions as f
from functions import MIB

SIZE = 32 * MIB


def source(name, *arguments):
    """A URI; "FILE" stands for the image."""
    socket = f"{f.tmp}/{name}.sock"
    server = f.Server(["nbdkit", "--foreground", "--exit-with-parent", "--unix", socket, *arguments])
    f.wait_until(20, lambda: os.path.exists(socket), "nbdkit")
    return server, f"nbd+unix:///?socket={socket}"


def nothing_is_left():
    assert "\nweb" not in f.casdisk("ls")
    assert os.listdir(os.environ["CASDISK_STORE"] + "/packs") == [], "space is not given back"


def test():
    f.casdisk("init")
    image = f.tmp + "/image.raw"
    with open(image, "wb") as file:
        file.write(os.urandom(SIZE))

    # A few reads fail: an image with holes in it would be worse than none.
    for what, parameters in (
            ("reads", ("error-pread=EIO", "error-pread-rate=0.1")),
            ("all reads", ("error-pread=EIO", "error-pread-rate=1")),
            ("no memory", ("error-pread=ENOMEM", "error-pread-rate=0.1"))):
        server, uri = source(what.replace(" ", "-"), "--filter=error", "file", image, *parameters)
        said = f.casdisk_fails(3, "import", uri, "web")
        assert uri in said, f"{what}: {said}"
        nothing_is_left()
        server.kill()

    # Extents that fail cost speed at most.
    server, uri = source("extents", "--filter=error", "file", image, "error-extents=EIO",
                         "error-extents-rate=1")
    done = subprocess.run([f.CASDISK, "import", uri, "web"], capture_output=True, text=True)
    assert done.returncode in (0, 3) and (done.returncode == 0 or uri in done.stderr), done
    if done.returncode == 0:
        f.casdisk("export", "web", f.tmp + "/out.raw")
        f.run("cmp", image, f.tmp + "/out.raw")
        f.casdisk("rm", "web")
        os.environ["CASDISK_STORE"] = f.tmp + "/store-2"
        f.casdisk("init")
    server.kill()

    # A server that dies in the middle.
    server, uri = source("dying", "--filter=delay", "file", image, "rdelay=3")
    process = subprocess.Popen([f.CASDISK, "import", uri, "web"], stderr=subprocess.PIPE, text=True,
                               stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    server.kill()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 3 and uri in said, (process.returncode, said)
    nothing_is_left()

    # One that accepts and does not answer: waiting ends when told to.
    for stop in (signal.SIGINT, signal.SIGTERM):
        server, uri = source(f"mute-{stop}", "--filter=delay", "file", image, "rdelay=1000")
        process = subprocess.Popen([f.CASDISK, "import", uri, "web"], stderr=subprocess.PIPE, text=True,
                                   stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(stop)
        process.communicate(timeout=10)
        assert process.returncode == 130, process.returncode
        nothing_is_left()
        server.kill()

    # A slow one is no error, and nothing is left of all those before.
    server, uri = source("slow", "--filter=delay", "file", image, "rdelay=20ms")
    f.casdisk("import", uri, "web")
    f.casdisk("export", "web", f.tmp + "/out.raw", "--force")
    f.run("cmp", image, f.tmp + "/out.raw")


test()
