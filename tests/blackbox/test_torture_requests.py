#!/usr/bin/python3 -B
"""Requests of every command with every flag, at any offset and length, right and wrong, one by one and in
batches with handles that occur twice, against a plain model: what is wrong is refused and changes nothing, what is
acknowledged is read back. With simple and structured replies, on a disk whole in neither chunks nor blocks,
and on one that is far larger than any request."""

import os
import random
import time

import functions as f
from tools import nbd_wire as w
from tools.process_watch import ProcessWatch

SEED = int(os.environ.get("CASDISK_TORTURE_SEED", "1"))
ROUNDS = int(os.environ.get("CASDISK_TORTURE_ROUNDS", "700"))
SIZE = (3 << 20) + 4096 + 777
MOST = (1 << 32) - 1
LANES = 16  # of a batch: each request keeps to its own

rng = random.Random(SEED)
print(f"seed {SEED}")
f.casdisk("init")
f.casdisk("create", "a", "--size", str(SIZE))
server = f.Nbdkit()
model = bytearray(SIZE)
counts = {}

RANGED = (w.READ, w.WRITE, w.TRIM, w.CACHE, w.WRITE_ZEROES, w.BLOCK_STATUS)
ALLOWED = {w.READ: w.DF, w.WRITE: w.FUA, w.TRIM: w.FUA, w.CACHE: 0, w.FLUSH: 0,
           w.WRITE_ZEROES: w.FUA | w.NO_HOLE | w.FAST_ZERO, w.BLOCK_STATUS: w.REQ_ONE}
ANY_FLAG = (w.FUA, w.NO_HOLE, w.DF, w.REQ_ONE, w.FAST_ZERO, 32, 1 << 15)


def must_fail(wire, command, flags, offset, length):
    """None where the protocol leaves it open."""
    if command not in ALLOWED or flags & ~31:
        return True
    if command in RANGED and offset + length > SIZE:
        return True
    if flags & ~(ALLOWED[command] | w.FUA):
        return True
    if not wire.structured and (flags & w.DF or command == w.BLOCK_STATUS):
        return True
    if flags & ~ALLOWED[command] or length == 0 and command in RANGED or command == w.FLUSH and (offset or length):
        return None
    return False


def check(wire, command, flags, offset, length, reply, data):
    """The reply is what it must be, and the model as the disk."""
    what = (command, flags, offset, length, reply.error)
    fails = must_fail(wire, command, flags, offset, length)
    counts[bool(reply.error)] = counts.get(bool(reply.error), 0) + 1
    if fails is not None:
        assert bool(reply.error) == fails, what
    if reply.error:
        return
    end = offset + length
    if command == w.READ:
        assert reply.data == model[offset:end], what
    elif command == w.WRITE:
        model[offset:end] = data
    elif command == w.WRITE_ZEROES:
        model[offset:end] = bytes(length)
    elif command == w.BLOCK_STATUS:
        lengths = [one for one, _ in reply.extents]
        assert lengths and all(lengths) and sum(lengths) <= (length if flags & w.REQ_ONE else SIZE), what
        at = offset
        for one, state in reply.extents:  # what is said to be zero is
            assert not state & 2 or not any(model[at:min(at + one, end)]), what
            at += one


def adopt_trim(wire, offset, length):
    """What is trimmed reads as zeros or as before, and from now on stays so."""
    found = wire.call(w.READ, offset, length).data
    for begin in range(0, length, f.BLOCK):
        part, before = found[begin:begin + f.BLOCK], model[offset + begin:offset + min(begin + f.BLOCK, length)]
        if part != before:
            assert all(new == 0 or new == old for new, old in zip(part, before)), (offset, length)
    model[offset:offset + length] = found


def any_range():
    """Around the end, around blocks and chunks, anywhere, and far beyond."""
    offset = rng.choice((rng.randrange(SIZE), SIZE - rng.randrange(1, 9000), SIZE + rng.randrange(9000),
                         rng.randrange(0, SIZE, f.BLOCK), rng.randrange(0, SIZE, f.CHUNK) - rng.randrange(2),
                         SIZE, 0, 1 << 63, (1 << 64) - 1, (1 << 64) - 4096, 1 << 62))
    length = rng.choice((rng.randrange(1, 9000), rng.randrange(1, 200000), f.BLOCK, f.CHUNK, 1, 0, SIZE,
                         max(0, SIZE - offset), max(0, SIZE + 1 - offset), 1 << 20, MOST, 1 << 31, 64 << 20))
    if rng.random() < 0.5:  # inside
        offset %= SIZE
        length = min(length or 1, SIZE - offset)
    return max(0, offset), length


def one_request(wire):
    command = rng.choice((*RANGED, *RANGED, w.FLUSH, rng.choice((8, 9, 255, 65535))))
    offset, length = any_range() if command in RANGED or rng.random() < 0.3 else (0, 0)
    flags = rng.choice((0, 0, 0, 0, ALLOWED.get(command, 0), rng.choice(ANY_FLAG),
                        sum(flag for flag in ANY_FLAG if rng.random() < 0.3)))
    data = b""
    if command == w.WRITE:
        length = min(length, 1 << 22)  # a longer payload is for too_large()
        data = rng.randbytes(min(length, 4096)) * (length // 4096 + 1)
        data = data[:length]
    if command == w.READ:
        length = min(length, MOST if offset + length > SIZE else SIZE)
    wire.request(command, offset, length, flags, handle := rng.randrange(1 << 64), data)
    reply = wire.reply()
    assert reply.handle == handle
    check(wire, command, flags, offset, length, reply, data)
    if command == w.TRIM and not reply.error and length:
        adopt_trim(wire, offset, length)


def batch(wire):
    """Many under way at once, answered in any order; those without an answer of their own share a handle."""
    requests = {}
    lanes = list(range(LANES))
    rng.shuffle(lanes)
    shared_count = 0
    for lane in lanes:
        begin, end = lane * SIZE // LANES, (lane + 1) * SIZE // LANES
        offset = rng.randrange(begin, end)
        length = rng.randint(1, min(end - offset, 100000))
        command = rng.choice((w.READ, w.WRITE, w.WRITE_ZEROES, w.FLUSH, w.BLOCK_STATUS))
        if command == w.BLOCK_STATUS and not wire.structured:
            command = w.READ
        if command == w.FLUSH:
            offset = length = 0
        data = rng.randbytes(length) if command == w.WRITE else b""
        handle = lane + 100
        if command in (w.WRITE, w.WRITE_ZEROES, w.FLUSH):
            handle, shared_count = 7, shared_count + 1
            if command != w.FLUSH:
                model[offset:offset + length] = data or bytes(length)
        else:
            requests[handle] = (command, 0, offset, length)
        wire.request(command, offset, length, 0, handle, data)
    for _ in lanes:
        reply = wire.reply()
        if reply.handle == 7:
            assert not reply.error
            shared_count -= 1
        else:
            check(wire, *requests.pop(reply.handle), reply, b"")
    assert shared_count == 0 and not requests


def too_large():
    """Payloads that are announced and not sent, or are too long to be taken: an error or the connection's
    end. A read or write of nothing known, then a wrong magic: the end."""
    for length in (MOST, 1 << 31, (128 << 20) + 1):
        for command in (w.WRITE, w.READ):
            with w.connected(server.socket, "a") as wire:
                wire.request(command, 0, length, data=bytes(1 << 16) if command == w.WRITE else b"")
                if command == w.READ:
                    assert wire.reply().error
                wire.socket.shutdown(1)
                assert wire.is_closed()
    for magic in (0, w.SIMPLE_REPLY, w.STRUCTURED_REPLY, 0x21E41C71, MOST):
        with w.connected(server.socket, "a") as wire:
            wire.request(w.WRITE, 0, 4096, data=b"x" * 4096, magic=magic)
            assert wire.is_closed()


def vast():
    """Lengths up to 2^32-1 where there is room for them; none takes long."""
    f.casdisk("create", "vast", "--size", "8T")
    size = 8 << 40
    with w.connected(server.socket, "vast") as wire:
        assert wire.size == size
        begin = time.monotonic()
        for at in (0, 1, 4096, 12345678901, size - MOST):
            marks = [(at - 1 if at else size // 2, b"<"), (at, b"["), (at + MOST - 1, b"]")]
            marks += [(at + MOST, b">")] if at + MOST < size else []
            for where, mark in marks:
                assert not wire.call(w.WRITE, where, 1, 0, mark).error
            status = wire.call(w.BLOCK_STATUS, at, MOST)
            assert status.extents and sum(length for length, _ in status.extents) <= MOST
            assert len(wire.call(w.BLOCK_STATUS, at, MOST, w.REQ_ONE).extents) == 1
            assert not wire.call(w.CACHE, at, MOST).error
            assert not wire.call(w.TRIM, at, MOST, w.FUA).error
            for where, mark in marks:
                expected = (mark,) if mark in b"<>" else (mark, b"\0")
                assert wire.call(w.READ, where, 1).data in expected, (at, where)
            assert not wire.call(w.WRITE_ZEROES, at, MOST, rng.choice((0, w.NO_HOLE, w.FAST_ZERO))).error
            for where, mark in marks:
                assert wire.call(w.READ, where, 1).data == (mark if mark in b"<>" else b"\0"), (at, where)
        assert wire.call(w.TRIM, size - MOST + 1, MOST).error
        seconds = time.monotonic() - begin
        assert seconds < 20, seconds
        return seconds


for structured in (True, False):
    with w.connected(server.socket, "a", structured=structured) as wire:
        for _ in range(ROUNDS):
            one_request(wire)
        for _ in range(ROUNDS // 25):
            batch(wire)
        assert wire.call(w.READ, 0, SIZE).data == model
        wire.request(w.DISC)
        assert wire.is_closed()
watch = ProcessWatch(server.process.pid)
before = bytes(model)
too_large()
watch.check_given_back("requests that are too large", most_memory_mib=80)
seconds = vast()
with w.connected(server.socket, "a") as wire:
    assert wire.call(w.READ, 0, SIZE).data == before
assert server.process.poll() is None
server.kill()  # what was acknowledged outlives it
server = f.Nbdkit("disk=a")
with w.connected(server.socket) as wire:
    assert wire.call(w.READ, 0, SIZE).data == before
print(f"{counts[False]} requests carried out, {counts[True]} refused; those of 4 GiB took {seconds:.1f} s in all")
