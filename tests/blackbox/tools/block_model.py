"""BlockModel: what each block of a disk may hold after the power failed.

A block's contents are numbered as they are written. After a power cut it must be the one that the
last completed flush (or FUA) covered, or one written later, acknowledged or not; after the death of
a process alone it must be the last acknowledged one or one that was on the way. Each block has one
writer at a time; flushes may come from anybody.
"""

import hashlib
import threading

BLOCK = 4096


def digest(block):
    return hashlib.blake2b(block, digest_size=12).digest()


class BlockModel:
    def __init__(self, content):
        self.lock = threading.Lock()
        self.clock = 0       # counts acknowledged changes
        self.flushed_at = 0  # of the clock, when the last completed flush began
        self.reset(content)

    def reset(self, content):
        """The disk holds `content`, and it is durable."""
        self.content = bytearray(content)  # as its writers see it
        # Of each block [time of its acknowledgement or None, digest], oldest first.
        self.versions = [[[0, digest(self.content[at:at + BLOCK])]]
                         for at in range(0, len(self.content), BLOCK)]

    def begin(self, offset, data):
        """`data` is about to be written at `offset`."""
        with self.lock:
            self.content[offset:offset + len(data)] = data
            begun = []
            for block in range(offset // BLOCK, -(-(offset + len(data)) // BLOCK)):
                version = [None, digest(self.content[block * BLOCK:(block + 1) * BLOCK])]
                self.versions[block].append(version)
                begun.append((block, version))
            return begun

    def acknowledge(self, begun, fua=False):
        with self.lock:
            self.clock += 1
            for _, version in begun:
                version[0] = 0 if fua else self.clock  # 0: before every flush, so that nothing older counts

    def flush_begins(self):
        with self.lock:
            return self.clock

    def flush_done(self, began):
        with self.lock:
            self.flushed_at = max(self.flushed_at, began)

    def moment_begins(self):
        """A checkpoint, say, is about to be asked for: of each block the last acknowledged version."""
        with self.lock:
            return [max(i for i, (time, _) in enumerate(versions) if time is not None)
                    for versions in self.versions]

    def moment_ended(self, began):
        """Its command has ended: a Moment, what its blocks may hold."""
        with self.lock:
            return Moment([[version for _, version in versions[first:]]
                           for first, versions in zip(began, self.versions)], len(self.content))

    def judge(self, content, power_failed=True):
        """What is wrong with a disk that holds `content`: a list of complaints; and how many blocks
        went back to a content older than the last acknowledged one."""
        complaints, went_back = [], 0
        if len(content) != len(self.content):
            return [f"{len(content)} bytes, not {len(self.content)}"], 0
        for block, versions in enumerate(self.versions):
            found = digest(content[block * BLOCK:(block + 1) * BLOCK])
            limit = self.flushed_at if power_failed else self.clock
            acknowledged = [i for i, (time, _) in enumerate(versions) if time is not None]
            oldest = max(i for i in acknowledged if versions[i][0] <= limit)
            if found in [version for _, version in versions[oldest:]]:
                went_back += found not in [version for _, version in versions[acknowledged[-1]:]]
                continue
            known = [i for i, (_, version) in enumerate(versions) if version == found]
            zero = not any(content[block * BLOCK:(block + 1) * BLOCK])
            complaints.append(
                f"block {block} holds " + (f"version {known[-1]}" if known else
                                           "zeros" if zero else "what was never written") +
                f", versions {oldest} to {len(versions) - 1} are allowed")
        return complaints, went_back


class Moment:
    """What a disk held between two moments, block by block; once it was read, that exactly."""

    def __init__(self, allowed, size_bytes):
        self.allowed, self.size_bytes = allowed, size_bytes
        self.exactly = None

    def judge(self, content):
        """A list of complaints. What is found without any is what it must be from then on."""
        found = hashlib.sha256(content).digest()
        if self.exactly:
            return [] if found == self.exactly else ["it is not what it was when it was last read"]
        if len(content) != self.size_bytes:
            return [f"{len(content)} bytes, not {self.size_bytes}"]
        wrong = [f"block {block} is of none of the moments of its command"
                 for block, versions in enumerate(self.allowed)
                 if digest(content[block * BLOCK:(block + 1) * BLOCK]) not in versions]
        if not wrong:
            self.exactly, self.allowed = found, None
        return wrong
