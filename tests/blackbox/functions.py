"""What the black-box tests in Python share. A test begins with

    #!/usr/bin/python3 -B
    import functions as f

and then has f.tmp, an empty directory that goes away at the end, and what is below. nbd is libnbd's
module. ctest sets CASDISK and CASDISK_PLUGIN; by hand they are those of build/dev.
"""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SRCDIR = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
CASDISK = os.environ.get("CASDISK") or SRCDIR + "/build/dev/nbd/casdisk"
PLUGIN = os.environ.setdefault("CASDISK_PLUGIN", SRCDIR + "/build/dev/nbd/nbdkit-casdisk-plugin.so")
TESTS_BUILD = os.environ.get("TESTS_BUILD") or SRCDIR + "/build/dev/tests"  # programs of tests/blackbox/tools
os.environ["PATH"] += ":/usr/sbin:/sbin"
BLOCK, CHUNK, MIB = 4 << 10, 64 << 10, 1 << 20


def skip(reason):
    print("SKIP: " + reason)
    sys.exit(77)


def requires(*command):
    """Skips unless the command succeeds."""
    if not shutil.which(command[0]) or subprocess.run(command, stdin=subprocess.DEVNULL,
                                                      capture_output=True).returncode:
        skip("needs: " + " ".join(command))


def requires_loop():
    if os.getuid() != 0:
        skip("needs root")
    requires("losetup", "--find")


def requires_fuse():
    if not os.access("/dev/fuse", os.W_OK):
        skip("needs /dev/fuse")
    requires("nbdfuse", "--version")


try:
    import nbd
except ImportError:
    skip("needs python3-libnbd")
if not shutil.which("nbdkit"):
    skip("needs nbdkit")

# Not under /tmp, which may be a small tmpfs without holes. Short: a socket's path has 107 bytes.
tmp = tempfile.mkdtemp(prefix="casdisk.", dir=os.environ.get("TMPDIR", "/var/tmp"))
os.environ["CASDISK_STORE"] = tmp + "/store"
servers = []
at_end = contextlib.ExitStack()  # at_end.callback(f, ...): what is undone at the end, the last first


def clean_up():
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    try:
        at_end.close()
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


atexit.register(clean_up)
ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
for ending in ENDINGS:
    signal.signal(ending, lambda number, frame: sys.exit(128 + number))


def casdisk(*arguments):
    """Runs the command, which must succeed, and returns what it prints."""
    return subprocess.run([CASDISK, *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def casdisk_fails(status, *arguments):
    """Runs the command, which must end with that status, and returns what it says on stderr."""
    done = subprocess.run([CASDISK, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == status, f"{arguments}: status {done.returncode}: {done.stderr}"
    return done.stderr


def run(*command):
    """Runs another command, which must succeed, and returns what it prints."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def succeeds(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def wait_until(seconds, condition, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Server:
    """A process that serves: `command` with its log in self.log; ended with the test."""

    def __init__(self, command, **options):
        self.log = f"{tmp}/server-{len(servers)}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, **options)
        servers.append(self)
        at_end.callback(self.kill)

    def logged(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def stop(self):
        """SIGTERM; nbdkit waits for idle clients without bound, so after 5 s it is killed."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Nbdkit(Server):
    """nbdkit with the plugin; Nbdkit("disk=a")."""

    def __init__(self, *parameters, plugin=PLUGIN):
        base = f"{tmp}/nbdkit-{len(servers)}"
        super().__init__(["nbdkit", "--foreground", "--exit-with-parent", "--unix", base + ".sock",
                          "--pidfile", base + ".pid", plugin, *parameters], stdout=subprocess.DEVNULL)
        self.socket = base + ".sock"
        self.uri = self.export("")
        self.wait_for(base + ".pid")

    def export(self, name):
        return f"nbd+unix:///{name}?socket={self.socket}"

    def wait_for(self, pid_file):
        """nbdkit writes its pid file when its socket listens."""
        end = time.monotonic() + 20
        while not os.path.exists(pid_file):
            code = self.process.poll()
            assert code is None, f"nbdkit did not start, return code {code}: {self.logged()}"
            assert time.monotonic() < end, f"nbdkit did not start in 20 s: {self.logged()}"
            time.sleep(0.005)


class Serve(Server):
    """`casdisk serve`; Serve("a") has answered when it is made."""

    def __init__(self, *arguments):
        super().__init__([CASDISK, "serve", *arguments], stdout=subprocess.PIPE, text=True)
        self.uri = self.process.stdout.readline().strip()
        assert self.uri, f"did not serve: {self.logged()}"

    def nbdkit_pid(self):
        """The server behind the socket; None while there is none."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            found = children.read().split()
        return int(found[0]) if found else None


def connected(uri, **settings):
    """A connection; settings such as strict_mode=0 are made before it."""
    h = nbd.NBD()
    for name, value in settings.items():
        getattr(h, "set_" + name)(value)
    h.connect_uri(uri)
    return h


def read_all(h, piece=1 << 20):
    """All bytes of an export."""
    size = h.get_size()
    return b"".join(bytes(h.pread(min(piece, size - at), at)) for at in range(0, size, piece))
