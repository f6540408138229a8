"""`casdisk kv` as tests call it, with bytes in and out, and the servers that it talks to."""

import base64
import json
import os
import random
import shutil
import socket
import subprocess
import urllib.request

import functions as f

NASTY = [(b"plain", b"value=1"), (b"a=b", b""), (b"\\", b"\\x41\\\\"), (b"line\nfeed", b"one\ntwo\r\n"),
         (b"\xff\xfe", bytes(range(256))), ("gr\u00fc\u00dfe".encode(), "\u65e5\u672c".encode()),
         (b"\\expires:5 k", b"\t"), (b" ", b" "), (b"\0", b"\0"), (b"{}", b'{"key":"x"}')]


def escaped(data):
    """Any bytes, for --escaped."""
    return b"".join(b"\\x%02x" % byte for byte in data)


def run(*words, stdin=b""):
    return subprocess.run([f.CASDISK, "kv", *words], input=stdin, capture_output=True)


def kv(*words, stdin=b"", status=0):
    """What it prints, in bytes."""
    done = run(*words, stdin=stdin)
    assert done.returncode == status, f"{words}: status {done.returncode}, not {status}: {done.stderr}{done.stdout}"
    return done.stdout


def refuses(status, said, *words, stdin=b""):
    """It ends so, and says so on stderr, in one line; the same with --json on stdout."""
    done = run(*words, stdin=stdin)
    text = done.stderr.decode(errors="replace")
    assert done.returncode == status, f"{words}: status {done.returncode}, not {status}: {text}"
    assert said in text, f"{words}: not {said!r}: {text}"
    assert text.startswith("casdisk: ") and text.count("\n") == 1, text
    in_json = run(*words, "--json", stdin=stdin)
    assert in_json.returncode == status, in_json.stderr
    answer = json.loads(in_json.stdout.splitlines()[-1])
    assert answer["exit"] == status and said in answer["error"], answer


def answer(*words, stdin=b"", status=0):
    """What it says with --json."""
    return json.loads(kv(*words, "--json", stdin=stdin, status=status))


def lines(*words):
    return [json.loads(line) for line in kv(*words, "--json").splitlines()]


def field(record, name):
    coded = record.get(name + "_base64")
    return record[name].encode() if coded is None else base64.b64decode(coded)


def records(url):
    """Every (key, value), in the order of a dump."""
    return [(field(record, "key"), field(record, "value")) for record in lines("dump", url)]


def put_all(url, wanted):
    for key, value in wanted:
        kv("put", url, "--escaped", "--", escaped(key), escaped(value))


class Redis(f.Server):
    def __init__(self, *more):
        """Syncs its log before each answer; ends with the test."""
        if not shutil.which("redis-server"):
            f.skip("needs redis-server")
        self.socket = f"{f.tmp}/redis-{len(f.servers)}.sock"
        super().__init__(["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", f.tmp,
                          "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                          "--appendfilename", f"redis-{len(f.servers)}.aof", *more], stdout=subprocess.DEVNULL)
        self.url = "redis+unix://" + self.socket
        f.wait_until(60, self.answers, "redis answers")

    def answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(self.socket)
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False


def free_port():
    """Of 127.0.0.1, and not among those that the kernel gives to clients."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Etcd(f.Server):
    def __init__(self):
        """A cluster of one; ends with the test."""
        if not shutil.which("etcd"):
            f.skip("needs etcd")
        self.client = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        super().__init__(["etcd", "--name", "alone", "--data-dir", f"{f.tmp}/etcd-{len(f.servers)}",
                          "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
                          "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                          "--initial-cluster", "alone=" + peer, "--logger", "zap"], stdout=subprocess.DEVNULL)
        self.url = self.client.replace("http:", "etcd:")
        f.wait_until(60, self.answers, "etcd has a leader")

    def answers(self):
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(self.client + "/health", timeout=5) as health:
                return b'"health":"true"' in health.read()
        except OSError:
            return False
