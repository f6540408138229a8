"""ControlWire: a client of a server's control socket (docs/CONTROL.md) that may send anything."""

import json
import os
import socket

import functions as f


def note_of_lease(store):
    """[pid, name of the control socket in run/] of the one disk that is served."""
    lease, = os.listdir(store + "/leases")
    with open(f"{store}/leases/{lease}") as file:
        return file.read().split()


def wait_for_socket(store):
    """nbdkit says that it is ready a moment before its plugin is; a lease is written after it is taken."""
    f.wait_until(20, lambda: "".join(note_of_lease(store)[1:]).endswith(".control"), "a control socket")


class ControlWire:
    """A connection, to the server of the one disk that is served or to the socket at a (short) path;
    self.greeting is what the server said first."""

    def __init__(self, store=None, path=None):
        self.socket = socket.socket(socket.AF_UNIX)
        if path:
            self.socket.connect(path)
        else:
            self.connect_by_lease(store)
        self.socket.settimeout(20)
        self.lines = self.socket.makefile("rb")
        self.greeting = self.reply()

    def connect_by_lease(self, store):
        run = os.open(store + "/run", os.O_RDONLY)  # the path may be too long for an address
        try:
            self.socket.connect(f"/proc/self/fd/{run}/{note_of_lease(store)[1]}")
        finally:
            os.close(run)

    def send(self, line):
        self.socket.sendall(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    def reply(self):
        return json.loads(self.lines.readline())

    def ask(self, **request):
        self.send({"id": 7, **request})
        while True:
            reply = self.reply()
            assert reply["id"] == 7, reply
            if "progress" not in reply:
                return reply

    def is_closed(self):
        """Waits for the end of the connection, whatever comes before."""
        try:
            while self.lines.readline():
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self):
        self.lines.close()
        self.socket.close()
