"""NBD servers under test: ours and the peers, each on a Unix socket, all with nbdkit's default of 16
threads where it is nbdkit, and qemu-nbd as its manual recommends for speed."""

import os
import signal
import subprocess
import time

from bench.place import PLUGIN, Failed, cpu_seconds, run


class Server:
    """A process that serves one disk; `files` are what it reads, for dropping them from the page cache."""

    def __init__(self, place, command, files=(), export=""):
        self.socket = place.fresh("socket")
        self.log = open(place.fresh("log"), "w+b")
        self.files = files
        command = [part.replace("SOCKET", self.socket) for part in map(str, command)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        cwd=place.path, start_new_session=True)
        self.export = export
        self.uri = f"nbd+unix:///{export}?socket={self.socket}"
        end = time.monotonic() + 20
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                raise Failed(f"{command[0]} does not serve: {self.log.read().decode(errors='replace')[-400:]}")
            time.sleep(0.002)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def remove(self):
        """What it served. REQUIRES: stopped, and nothing else reads these files."""
        for path in self.files:
            os.unlink(path)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def nbdkit(place, *plugin, files=(), export=""):
    return Server(place, ["nbdkit", "--foreground", "--unix", "SOCKET", *plugin], files, export)


def casdisk(place, store, disk, *flags, threads=16, parameters=()):
    return nbdkit(place, f"--threads={threads}", *flags, PLUGIN, f"store={store.path}", *parameters,
                  files=[store.path], export=disk)


def nbdkit_file(place, path):
    return nbdkit(place, "file", path, files=[path])


def nbdkit_cow(place, path):
    return nbdkit(place, "--filter=cow", "file", path, files=[path])


def nbdkit_memory(place, size_bytes, content=None):
    server = nbdkit(place, "memory", str(size_bytes))
    if content:
        run("nbdcopy", content, server.uri)
    return server


def nbdkit_null(place, size_bytes, *flags):
    return nbdkit(place, *flags, "null", str(size_bytes))


def qemu_nbd(place, image, image_format):
    command = ["qemu-nbd", "--persistent", "--shared=16", "--socket=SOCKET", f"--format={image_format}",
               "--cache=writeback", "--aio=io_uring", "--discard=unmap", image]
    return Server(place, command, [image])


def qcow2_overlay(place, base, base_format="raw"):
    path = place.fresh("overlay.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", base_format, path)
    server = qemu_nbd(place, path, "qcow2")
    server.files = [path, base]
    return server
