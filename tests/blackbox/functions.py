"""What the black-box tests in Python share. A test begins with

    #!/usr/bin/python3 -B
    import functions as f

and then has f.tmp, an empty directory that goes away at the end, and what is below. nbd is libnbd's
module. ctest sets CASDISK and CASDISK_PLUGIN; by hand they are those of build/dev.
"""

import atexit
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


def skip(reason):
    print("SKIP: " + reason)
    sys.exit(77)


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


def clean_up():
    for server in servers:
        server.kill()
    shutil.rmtree(tmp, ignore_errors=True)


atexit.register(clean_up)
for ending in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(ending, lambda number, frame: sys.exit(128 + number))


def casdisk(*arguments):
    """Runs the command, which must succeed, and returns what it prints."""
    return subprocess.run([CASDISK, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


class Server:
    """A process that serves: `command` with its log in self.log; ended with the test."""

    def __init__(self, command, **options):
        self.log = f"{tmp}/server-{len(servers)}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, **options)
        servers.append(self)

    def logged(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Nbdkit(Server):
    """nbdkit with the plugin; Nbdkit("disk=a")."""

    def __init__(self, *parameters):
        base = f"{tmp}/nbdkit-{len(servers)}"
        super().__init__(["nbdkit", "--foreground", "--exit-with-parent", "--unix", base + ".sock",
                          "--pidfile", base + ".pid", PLUGIN, *parameters], stdout=subprocess.DEVNULL)
        self.uri = f"nbd+unix:///?socket={base}.sock"
        self.wait_for(base + ".pid")

    def wait_for(self, pid_file):
        """nbdkit writes its pid file when its socket listens."""
        end = time.monotonic() + 20
        while not os.path.exists(pid_file):
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("FAIL: nbdkit did not start: " + self.logged())
            time.sleep(0.005)


class Serve(Server):
    """`casdisk serve`; Serve("a") has answered when it is made."""

    def __init__(self, *arguments):
        super().__init__([CASDISK, "serve", *arguments], stdout=subprocess.PIPE, text=True)
        self.uri = self.process.stdout.readline().strip()
        if not self.uri:
            sys.exit("FAIL: did not serve: " + self.logged())

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
