"""Where a benchmark works: a directory of its own, programs of ours and of the peers, and what they use."""

import json
import os
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("CASDISK_BUILD", ROOT + "/build/release"))
CASDISK, PLUGIN = BUILD + "/nbd/casdisk", BUILD + "/nbd/nbdkit-casdisk-plugin.so"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A command that did not do what it was asked; the row says so instead of a figure."""


def run(*command, **options):
    """What the command prints."""
    options = {"stdin": subprocess.DEVNULL, **options}
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Failed(f"{' '.join(map(str, command))}: {said[-400:]}")
    return done.stdout.decode(errors="replace")


def timed(*command, **options):
    """Seconds of wall clock, and of CPU in the command and its children."""
    before, begin = os.times(), time.monotonic()
    run(*command, **options)
    seconds, after = time.monotonic() - begin, os.times()
    return seconds, after.children_user + after.children_system - before.children_user - before.children_system


def cpu_seconds(pid):
    """User and system time of a process, threads that have ended included."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    """Memory that is the process's own: not the pages of files that it has mapped."""
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) * KIB


def stored_bytes(path):
    """Space that a file or a tree takes on its file system."""
    return int(run("du", "-s", "--block-size=1", path).split()[0])


def drop_page_cache(*paths):
    """Of these files and trees. What is dirty is written first."""
    for path in paths:
        files = [path] if os.path.isfile(path) else [os.path.join(at, name) for at, _, names in os.walk(path) for name in names]
        for name in files:
            if not os.path.isfile(name):
                continue
            descriptor = os.open(name, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


class Place:
    """A directory that goes away with the benchmark."""

    def __init__(self, directory):
        self.path = tempfile.mkdtemp(prefix="casdisk-bench.", dir=directory)
        self._numbers = {}

    def fresh(self, name):
        """A path that nothing has yet."""
        self._numbers[name] = self._numbers.get(name, 0) + 1
        return f"{self.path}/{name}.{self._numbers[name]}"

    def forget(self, *paths):
        for path in paths:
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Store:
    """One of our stores."""

    def __init__(self, path, codec="none"):
        self.path = path
        self.casdisk("init", "--codec", codec)

    def casdisk(self, *arguments):
        return run(CASDISK, "--store", self.path, *arguments)

    def json(self, *arguments):
        return json.loads(self.casdisk(*arguments, "--json"))


def make_image(path, size_bytes, compressible=0.5, seed=1):
    """A raw image of chunks that are all different; that part of each 4 KiB is zeros."""
    import random
    rng = random.Random(seed)
    noise = int(4 * KIB * (1 - compressible))
    pool = rng.randbytes(4 * MIB)
    with open(path, "wb") as file:
        for _ in range(size_bytes // MIB):
            parts = []
            for _ in range(256):
                at = rng.randrange(len(pool) - noise)
                parts.append(rng.randbytes(16) + pool[at:at + noise - 16] + bytes(4 * KIB - noise))
            file.write(b"".join(parts))
    return path
