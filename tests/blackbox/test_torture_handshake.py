#!/usr/bin/python3 -B
"""Handshakes that no honest client would begin: wrong magics, unknown and oversized and half options, names of
any length, meta contexts that lie about their lengths, requests before there is a disk, and some hundred
handshakes with random bytes changed. Each ends in an error or its own connection's end; meanwhile and
afterwards others are served, and nothing is left behind."""

import os
import random
import socket
import struct

import functions as f
from tools import nbd_wire as w
from tools.process_watch import ProcessWatch

SEED = int(os.environ.get("CASDISK_TORTURE_SEED", "1"))
MUTATED = int(os.environ.get("CASDISK_TORTURE_ROUNDS", "300"))
rng = random.Random(SEED)
print(f"seed {SEED}")

f.casdisk("init")
f.casdisk("create", "a", "--size", "1M")
f.casdisk("create", "b", "--size", "1M")
server = f.Nbdkit()
pattern = bytes(range(256)) * 16
bystander = w.connected(server.socket, "a")
assert not bystander.call(w.WRITE, 4096, 4096, w.FUA, pattern).error


def others_are_served():
    assert bystander.call(w.READ, 4096, 4096).data == pattern
    assert server.process.poll() is None, server.logged()


def began(flags=w.C_FIXED_NEWSTYLE | w.C_NO_ZEROES):
    wire = w.Wire(server.socket)
    wire.answer_greeting(flags)
    return wire


def is_refused(option, data=b"", length=None, before=()):
    """An error, after which the connection goes on, or its end; never anything else."""
    with began() as wire:
        try:
            for one in before:
                assert wire.ask(one) == w.REP_ACK
            wire.option(option, data, length)
            wire.socket.shutdown(socket.SHUT_WR)
            last = wire.option_replies(option)[-1][0]
        except w.Closed:
            return
        assert last >= w.REP_ERROR, (option, data[:40], length, hex(last))


others_are_served()
watch = ProcessWatch(server.process.pid)

# Flags and magics.
for flags in (0xFFFFFFFF, 4, 1 << 31):
    with began(flags) as wire:
        assert wire.is_closed()
for flags in (0, w.C_NO_ZEROES):  # not of the fixed newstyle: only EXPORT_NAME is certain
    with began(flags) as wire:
        wire.option(w.OPT_EXPORT_NAME, b"a")
        size, = struct.unpack(">Q", wire.receive(8))
        assert size == 1 << 20
for magic in (b"IHAVEOPS", b"\0" * 8, w.NBDMAGIC, b"GET / HT"):
    with began() as wire:
        wire.send(magic + struct.pack(">II", w.OPT_GO, 0))
        assert wire.is_closed()

# Requests where options belong.
for command in range(9):
    with began() as wire:
        wire.send(struct.pack(">IHHQQI", w.REQUEST, 0, command, 1, 0, 4096) + bytes(4096))
        assert wire.is_closed()

# Options that nobody knows, of any length; afterwards the connection still works.
with began() as wire:
    for option in (0, 4, 11, 12, 100, 1 << 16, 0xFFFFFFFF):
        assert wire.ask(option, rng.randbytes(rng.randrange(4096))) >= w.REP_ERROR
    assert wire.ask(w.OPT_GO, w.go_data("a")) == w.REP_ACK
for length in (1 << 16, 1 << 24, 1 << 31, (1 << 32) - 1):
    for option in (*range(12), 0xFFFFFFFF):
        with began() as wire:
            wire.option(option, bytes(100), length)
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.is_closed()
others_are_served()

# Names: unknown, unsafe, too long, longer than what they come in.
wrong_names = [b"c", b"../a", b"a/../a", b"/", b"a\0", b"a@", b"@", b"a@missing", b"\xff\xfe", b" a", b"-r",
               b"a" * 129, b"x" * 4095, b"x" * 4096, b"x" * 4097, b"x" * 16000, b"%s%n" * 100]
for name in wrong_names:
    is_refused(w.OPT_GO, w.go_data(name))
    is_refused(w.OPT_INFO, w.go_data(name))
    with began() as wire:
        wire.option(w.OPT_EXPORT_NAME, name)
        assert wire.is_closed()
for lie in (0, 2, 4096, 1 << 31, (1 << 32) - 1):  # the name has one byte
    is_refused(w.OPT_GO, struct.pack(">I", lie) + b"a" + struct.pack(">H", 0))
for data in (b"", b"\0", bytes(3), bytes(5), w.go_data("a")[:-1], w.go_data("a") + b"x"):
    is_refused(w.OPT_GO, data)
is_refused(w.OPT_GO, struct.pack(">I", 1) + b"a" + struct.pack(">H", 65535))
with began() as wire:  # informations that nobody knows are passed over
    assert wire.ask(w.OPT_INFO, w.go_data("a", *range(200))) == w.REP_ACK
    assert wire.ask(w.OPT_INFO, w.go_data("a", *([3] * 1000))) == w.REP_ACK
    assert wire.ask(w.OPT_GO, w.go_data("b", 0, 0, 0, 65535)) == w.REP_ACK

# The other options with what does not belong there.
for option in (w.OPT_LIST, w.OPT_STRUCTURED_REPLY, w.OPT_STARTTLS):
    is_refused(option, b"x")
is_refused(w.OPT_STARTTLS)
with began() as wire:
    wire.option(w.OPT_LIST)
    listed = wire.option_replies(w.OPT_LIST)
    assert [data[4:5] for kind, data in listed if kind == w.REP_SERVER] == [b"a", b"b"], listed
    wire.option(w.OPT_ABORT)
    assert wire.is_closed()

# Meta contexts.
is_refused(w.OPT_SET_META_CONTEXT, w.meta_query("a", "base:allocation"))  # before structured replies
for option in (w.OPT_SET_META_CONTEXT, w.OPT_LIST_META_CONTEXT):
    for data in (b"", bytes(4), w.meta_query("a", "base:allocation")[:-1],
                 struct.pack(">I", (1 << 32) - 1) + b"a", w.meta_query("a")[:5] + struct.pack(">I", (1 << 32) - 1),
                 w.meta_query("a")[:5] + struct.pack(">III", 1, (1 << 32) - 1, 0)):
        is_refused(option, data, before=(w.OPT_STRUCTURED_REPLY,))
for contexts in ((), ("nobody:knows",), ("base:",), ("base:allocation",) * 50, ("",), (b"\xff" * 4096,)):
    with began() as wire:
        assert wire.ask(w.OPT_STRUCTURED_REPLY) == w.REP_ACK
        wire.structured = True
        for option in (w.OPT_LIST_META_CONTEXT, w.OPT_SET_META_CONTEXT):
            wire.ask(option, w.meta_query("a", *contexts))
        assert wire.ask(w.OPT_GO, w.go_data("a")) == w.REP_ACK
        assert wire.call(w.READ, 4096, 4096).data == pattern
        status = wire.call(w.BLOCK_STATUS, 0, 65536)
        assert status.error or "base:allocation" in contexts, contexts
# Contexts that were set for another export do not count.
with began() as wire:
    wire.structured = wire.ask(w.OPT_STRUCTURED_REPLY) == w.REP_ACK
    wire.ask(w.OPT_SET_META_CONTEXT, w.meta_query("b", "base:allocation"))
    assert wire.ask(w.OPT_GO, w.go_data("a")) == w.REP_ACK
    assert wire.call(w.BLOCK_STATUS, 0, 4096).error
with began() as wire:  # no end of options
    try:
        for _ in range(10000):
            wire.ask(w.OPT_INFO, w.go_data("a"))
        raise AssertionError("options without end")
    except w.Closed:
        pass
others_are_served()

# A whole handshake with bytes changed, left out or doubled. No request follows: nbdkit 1.32 dies of a
# connection that ends with requests in flight (test_torture_connections has `casdisk serve` for that).
honest = (struct.pack(">I", 3) + b"".join(
    w.IHAVEOPT + struct.pack(">II", option, len(data)) + data for option, data in (
        (w.OPT_LIST, b""), (w.OPT_INFO, w.go_data("a", 3)), (w.OPT_STRUCTURED_REPLY, b""),
        (w.OPT_SET_META_CONTEXT, w.meta_query("a", "base:allocation")), (w.OPT_GO, w.go_data("a", 3)))))
for _ in range(MUTATED):
    wrong = bytearray(honest)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(wrong))
        kind = rng.randrange(4)
        if kind == 0:
            wrong[at] = rng.randrange(256)
        elif kind == 1:
            del wrong[at:at + rng.randrange(1, 9)]
        elif kind == 2:
            wrong[at:at] = wrong[at:at + rng.randrange(1, 40)]
        else:
            wrong[at:at + 4] = struct.pack(">I", rng.choice((0, 1, 4096, 65535, 1 << 31, (1 << 32) - 1)))
        wrong = wrong or bytearray(1)
    with w.Wire(server.socket) as wire:
        try:
            wire.send(wrong)
        except w.Closed:
            continue
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()
others_are_served()

grown_mib = watch.check_given_back("the handshakes", most_memory_mib=32)
print(f"{MUTATED} handshakes changed at random; {grown_mib:.1f} MiB more than before them")
