"""Guest: a client that remembers what was acknowledged, and fails the test when that is not there."""

import random

import functions as f
from functions import CHUNK, nbd

NO_SPACE = ("ENOSPC",)
MAX_WRITES = 32768


class Guest:
    """A client of the disk "web", and its server. What a block holds is known once it was written."""

    def __init__(self, disk_bytes, start_server=lambda: f.Nbdkit("disk=web")):
        self.disk_bytes, self.start_server = disk_bytes, start_server
        self.rng = random.Random(11)
        self.blocks = {}  # number: content
        self.start()

    def start(self):
        self.server = self.start_server()
        self.connect()

    def connect(self):
        self.client = f.connected(self.server.uri)

    def die(self):
        self.server.kill()
        self.client = None

    def write(self, first, count=1):
        data = self.rng.randbytes(count * f.BLOCK)
        self.client.pwrite(data, first * f.BLOCK)
        for i in range(count):
            self.blocks[first + i] = data[i * f.BLOCK:(i + 1) * f.BLOCK]

    def write_until_full(self):
        """Chunks, then single blocks, all over the disk, until neither fits."""
        for count in (16, 1):
            for _ in range(MAX_WRITES):
                first = self.rng.randrange(self.disk_bytes // CHUNK) * 16 + (16 - count) // 2
                try:
                    self.write(first, count)
                except nbd.Error as error:
                    assert error.errno in NO_SPACE, f"a write on a full file system: {error}"
                    # Nobody told it that any of this was written: it may be, or not.
                    for i in range(count):
                        self.blocks.pop(first + i, None)
                    break
            else:
                raise AssertionError("never full")

    def fails(self, errors, request, *arguments):
        """The request fails with one of these errors: fails("EIO", guest.client.pread, 512, 0)."""
        try:
            result = request(*arguments)
        except nbd.Error as error:
            assert error.errno in errors, f"{request.__name__} at {arguments[-1]}: {error}"
            return
        assert False, f"{request.__name__} succeeds" + (", with zeros" if result and not any(result) else "")

    def check(self, when):
        for number, content in self.blocks.items():
            found = bytes(self.client.pread(f.BLOCK, number * f.BLOCK))
            assert found == content, f"{when}: block {number} is not what was acknowledged"

    def flushed(self):
        """Flushes and gives whether it succeeded."""
        try:
            self.client.flush()
            return True
        except nbd.Error as error:
            assert error.errno in NO_SPACE, f"a flush on a full file system: {error}"
            return False
