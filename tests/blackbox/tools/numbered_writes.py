"""Writers whose every write can be told from the content of the disk.

Each writer owns a share of the disk's blocks and writes one block after the other, the next when the
last was acknowledged: a block holds the number of its write, 512 times. So the content of a share, of
a disk or of a checkpoint, shows after how many writes it was taken, and whether it is one moment at
all. Between writers there is no order.
"""

import threading

import functions as f
from functions import BLOCK, nbd


def numbers_in(content):
    """The number of each block; fails for a block that is of no one write."""
    numbers = []
    for at in range(0, len(content), BLOCK):
        block = content[at:at + BLOCK]
        assert block == block[:8] * 512, f"block {at // BLOCK} is of more than one write"
        numbers.append(int.from_bytes(block[:8], "little"))
    return numbers


class Writer:
    def __init__(self, first_block, count):
        self.first_block, self.count = first_block, count
        self.base = [0] * count   # the share before the writes of `log`
        self.log = []             # (block of the share, number), acknowledged; (None, numbers): jump()
        self.flying = None        # one that is not, when its client has died
        self.number = 0
        self.errors = []
        self.thread = None
        self.stopping = threading.Event()
        self.waiting = threading.Event()
        self.going = threading.Event()
        self.going.set()

    def start(self, uri, pick):
        """Writes to blocks that `pick(count)` chooses, until stop() or an error."""
        self.stopping.clear()
        self.thread = threading.Thread(target=self._run, args=(uri, pick), daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.going.set()
        self.thread.join(30)
        assert not self.thread.is_alive(), "a writer hangs"

    def pause(self):
        """Returns when no write is under way, or the writer has ended."""
        self.going.clear()
        while self.thread.is_alive() and not self.waiting.wait(0.01):
            pass

    def go_on(self):
        self.waiting.clear()
        self.going.set()

    def _run(self, uri, pick):
        try:
            client = f.connected(uri)
            while not self.stopping.is_set():
                if not self.going.is_set():
                    self.waiting.set()
                    self.going.wait()
                    continue
                self.write_one(client, pick(self.count))
            client.shutdown()
        except nbd.Error as error:
            self.errors.append(error)

    def write_one(self, client, block):
        self.number += 1
        self.flying = (block, self.number)
        client.pwrite(self.number.to_bytes(8, "little") * 512, (self.first_block + block) * BLOCK)
        self.log.append(self.flying)
        self.flying = None

    def position(self):
        """How many writes are acknowledged."""
        return len(self.log)

    def moment_of(self, content, least, most):
        """After how many writes the share in `content` was taken, when that is within [least, most];
        None otherwise. One more than are acknowledged is the one that was under way."""
        numbers = self._share(content)
        state = list(self.base)
        log = self.log + ([self.flying] if self.flying else [])
        for entry in log[:least]:
            self._apply(state, entry)
        for position in range(least, min(most, len(log)) + 1):
            if state == numbers:
                return position
            if position < len(log):
                self._apply(state, log[position])
        return None

    @staticmethod
    def _apply(state, entry):
        block, number = entry
        if block is None:
            state[:] = number
        else:
            state[block] = number

    def _share(self, content):
        return numbers_in(content[self.first_block * BLOCK:(self.first_block + self.count) * BLOCK])

    def jump(self, content):
        """The share has become what `content` says, by a rollback, while nothing was under way."""
        self.log.append((None, self._share(content)))

    def reset(self, content):
        """As jump(), and what was before is forgotten."""
        self.base, self.log, self.flying = self._share(content), [], None
