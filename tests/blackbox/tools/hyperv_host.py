"""The host's side of Hyper-V's key-value exchange, with the real hv_kvp_daemon in between.

Daemon(directory) starts it on pool files in that directory; get, set, delete and enumerate are what a host asks
by way of the kernel. The messages are struct hv_kvp_msg of linux/hyperv.h, packed."""

import os
import socket
import struct
import subprocess

import functions as f
import kv_command as kv

KEY, VALUE, MESSAGE = 512, 2048, 7432
GET, SET, DELETE, ENUMERATE, REGISTER = 0, 1, 2, 3, 100
OK, NO_MORE, FAILED = 0, 0x80070103, 0x80004005
TEXT = 1  # REG_SZ
SECONDS = 10
BINARY = "/usr/sbin/hv_kvp_daemon"
SHIM = f.TESTS_BUILD + "/libhyperv_shim.so"


def terminated(text, width):
    """As the kernel hands text over: with its NUL, where there is room for one."""
    return text + b"\0" if len(text) < width else text


def text_of(field):
    return field.split(b"\0", 1)[0]


class Daemon:
    def __init__(self, directory):
        self.socket, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS)
        environment = dict(os.environ, LD_PRELOAD=SHIM, HYPERV_DEVICE=str(device.fileno()),
                           HYPERV_DIRECTORY=directory)
        self.process = subprocess.Popen([BINARY, "-n"], env=environment, pass_fds=(device.fileno(),),
                                        stdin=subprocess.DEVNULL)
        f.at_end.callback(self.stop)
        device.close()
        assert self.receive()[0] == REGISTER, "it registers first"
        self.socket.send(struct.pack("<BBH", REGISTER, 0, 0) + b"3.1".ljust(MESSAGE - 4, b"\0"))

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()

    def receive(self):
        message = self.socket.recv(MESSAGE + 1)
        assert len(message) == MESSAGE, f"{len(message)} bytes are no message"
        return message

    def send(self, operation, pool, body):
        self.socket.send(struct.pack("<BBH", operation, pool, 0) + body.ljust(MESSAGE - 4, b"\0"))

    def ask(self, operation, pool, body):
        """The status, and the body of the answer."""
        self.send(operation, pool, body)
        answer = self.receive()
        return struct.unpack_from("<I", answer)[0], answer[4:]

    @staticmethod
    def record(key, value=b""):
        key, value = terminated(key, KEY), terminated(value, VALUE)
        return struct.pack("<III", TEXT, len(key), len(value)) + key.ljust(KEY, b"\0") + value.ljust(VALUE, b"\0")

    def set(self, pool, key, value):
        status, _ = self.ask(SET, pool, self.record(key, value))
        assert status == OK, hex(status)

    def get(self, pool, key):
        """The value, or None."""
        room = b"?" * VALUE  # as many bytes as the value's length says are filled in
        status, body = self.ask(GET, pool, self.record(key, room))
        return text_of(body[12 + KEY:12 + KEY + VALUE]) if status == OK else None

    def delete(self, pool, key):
        """Whether it was there."""
        key = terminated(key, KEY)
        status, _ = self.ask(DELETE, pool, struct.pack("<I", len(key)) + key.ljust(KEY, b"\0"))
        return status == OK

    def enumerate(self, pool):
        """Every (key, value), in its order."""
        found = []
        while True:
            status, body = self.ask(ENUMERATE, pool, struct.pack("<I", len(found)))
            if status == NO_MORE:
                return found
            assert status == OK, hex(status)
            found.append((text_of(body[16:16 + KEY]), text_of(body[16 + KEY:16 + KEY + VALUE])))


class Store:
    """A store of casdisk, by its URL: each call is a command of its own."""

    def __init__(self, url):
        self.url = url

    def put(self, key, value):
        kv.kv("put", self.url, "--", key, value)

    def append(self, key, value):
        kv.kv("put", self.url, "--append", "--", key, value)

    def get(self, key):
        done = kv.run("get", self.url, "--", key)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout if done.returncode == 0 else None

    def remove(self, key):
        done = kv.run("delete", self.url, "--", key)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0

    def dump(self):
        return kv.records(self.url)
