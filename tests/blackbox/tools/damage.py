"""Damage to the packs of a store: where records lie, and how to spoil them. Codec none only."""

import os
import struct

HEADER = 52


def packs_of(store):
    folder = store + "/packs"
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate(len(content))


def flip(path, at, bit=0):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


class Record:
    """One record of a pack: where it is, and what it holds (docs/FORMAT.md)."""

    def __init__(self, path, offset, head, content):
        count, stored = struct.unpack_from("<HI", head, 6)
        self.path, self.offset, self.kind = path, offset, head[4]
        self.id = head[16:48].hex()
        self.payload_at = offset + HEADER + 4 * count
        self.end = self.payload_at + stored
        self.payload = content[self.payload_at:self.end]
        self.pack = os.path.basename(path).split(".")[0]

    def flip_payload(self, at=1000, bit=3):
        flip(self.path, self.payload_at + at % len(self.payload), bit)

    def flip_header(self):
        flip(self.path, self.offset + 30)


def records(store):
    """All records of all packs of a store that is not damaged."""
    found = []
    for path in packs_of(store):
        content = read(path)
        offset = 64
        while offset + HEADER <= len(content):
            record = Record(path, offset, content[offset:offset + HEADER], content)
            found.append(record)
            offset = record.end
    return found


def record_of(store, payload):
    return next(record for record in records(store) if record.payload == payload)
