"""Load: clients that write to one disk at random and tell a BlockModel what they do.

Each writer owns blocks of its own, next to the others' in the same chunks in the disk's first half,
in long runs in its second. A client that gets an error ends; `errors` has them.
"""

import random
import threading
import time

import functions as f
from functions import BLOCK, nbd

SHORT_RUN, LONG_RUN = 3, 64  # blocks in a row that have the same owner


class Load:
    def __init__(self, uri, model, seed, writer_count=4):
        self.uri, self.model, self.writer_count = uri, model, writer_count
        self.size = len(model.content)
        # Between flushes: some loads flush all the time, others seldom.
        self.pauses = random.Random(seed).choice(((0, 0.002, 0.02), (0.02, 0.1), (0.1, 0.6)))
        self.errors, self.stopping = [], threading.Event()
        self.done_count = 0
        self.threads = [threading.Thread(target=self._client, args=(self._writer, i, f"{seed}/{i}"),
                                         daemon=True) for i in range(writer_count)]
        self.threads.append(threading.Thread(
            target=self._client, args=(self._flusher, 0, f"{seed}/flusher"), daemon=True))
        for thread in self.threads:
            thread.start()

    def stop(self):
        """Lets each client end what it is doing."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                raise AssertionError("a client hangs")

    def _client(self, work, index, seed):
        try:
            client = f.connected(self.uri)
            rng = random.Random(seed)
            while not self.stopping.is_set():
                work(client, rng, index)
                self.done_count += 1
            client.shutdown()
        except (nbd.Error, AssertionError) as error:
            self.errors.append(error)

    def _flusher(self, client, rng, _index):
        time.sleep(rng.choice(self.pauses))
        self._flush(client)

    def _flush(self, client):
        began = self.model.flush_begins()
        client.flush()
        self.model.flush_done(began)

    def _range(self, rng, index):
        """[begin, end) inside one run of the writer's own blocks."""
        half = self.size // 2 // BLOCK
        if rng.random() < 0.7:
            run, first, blocks = SHORT_RUN, 0, half
        else:
            run, first, blocks = LONG_RUN, half, (self.size - 1) // BLOCK + 1 - half
        mine = rng.randrange(0, -(-blocks // run), self.writer_count) + index
        begin = (first + mine * run) * BLOCK
        end = min(begin + run * BLOCK, (first + blocks) * BLOCK, self.size)
        if begin >= end:
            return self._range(rng, index)
        at = begin + rng.randrange(end - begin)
        until = rng.randint(at + 1, end)
        if rng.random() < 0.6:  # whole blocks
            at -= at % BLOCK
            until = min(-(-until // BLOCK) * BLOCK, end)
        return at, until

    def _writer(self, client, rng, index):
        at, until = self._range(rng, index)
        kind = rng.choices(("write", "fua", "zero", "trim", "read", "flush"),
                           (50, 3, 12, 10, 12, 1))[0]
        if kind == "read":
            self._check(client, at, until)
        elif kind == "flush":
            self._flush(client)
        elif kind == "trim":
            self._trim(client, at, until)
        else:
            fua = nbd.CMD_FLAG_FUA if kind == "fua" or rng.random() < 0.01 else 0
            data = bytes(until - at) if kind == "zero" else rng.randbytes(until - at)
            begun = self.model.begin(at, data)
            if kind == "zero":
                client.zero(until - at, at, fua | rng.choice((0, nbd.CMD_FLAG_NO_HOLE)))
            else:
                client.pwrite(data, at, fua)
            self.model.acknowledge(begun, bool(fua))

    def _check(self, client, at, until):
        expected = bytes(self.model.content[at:until])
        if bytes(client.pread(until - at, at)) != expected:
            raise AssertionError(f"bytes {at} to {until} do not read as they were written")

    def _trim(self, client, at, until):
        """What is trimmed reads as zeros or as before, and from then on stays so."""
        before = bytes(self.model.content[at:until])
        begun = self.model.begin(at, bytes(until - at))
        client.trim(until - at, at)
        found = bytes(client.pread(until - at, at))
        block_end = at - at % BLOCK + BLOCK
        for begin in (at, *range(block_end, until, BLOCK)):
            end = min(until, begin - begin % BLOCK + BLOCK)
            part = found[begin - at:end - at]
            if any(part) and part != before[begin - at:end - at]:
                raise AssertionError(f"bytes {begin} to {end} were trimmed and read as neither")
        again = self.model.begin(at, found)
        self.model.acknowledge(begun)
        self.model.acknowledge(again)
