#!/usr/bin/python3 -B
"""The real hv_kvp_daemon reads what casdisk writes into pool files, and casdisk what it writes: for every operation of
a host, with what the daemon leaves behind in the bytes, and while both are at it."""

import fcntl
import os
import random
import struct
import sys
import threading

import functions as f

sys.path.append(f.SRCDIR + "/tests/blackbox/tools")
import hyperv_host as host

EXTERNAL, GUEST, AUTO_EXTERNAL = 0, 1, 3
RECORD = 2560
SEED = int(os.environ.get("CASDISK_TORTURE_SEED", "7"))


def pool_path(pool):
    return f"{f.tmp}/.kvp_pool_{pool}"


def store(pool, limits="safe"):
    return host.Store(f"hyperv:{pool}@{f.tmp}?limits={limits}")


def write_bytes(pool, data):
    with open(pool_path(pool), "ab") as file:
        file.write(data)


def test_what_casdisk_writes_the_host_reads(daemon):
    guest = store(GUEST)
    records = [(b"k%d" % i, b"value %d" % i * i) for i in range(1, 40)] + [("\u00e4\u65e5".encode(), b""), (b"l" * 254, b"v" * 1022)]
    for key, value in records:
        guest.put(key, value)
    assert daemon.enumerate(GUEST) == records
    for key, value in records:
        assert daemon.get(GUEST, key) == value, key
    assert daemon.get(GUEST, b"k") is None and daemon.get(GUEST, b"k11 ") is None
    guest.put(b"k7", b"short")
    guest.put(b"k8", b"long " * 200)
    assert guest.remove(b"k1") and not guest.remove(b"k1")
    assert daemon.get(GUEST, b"k7") == b"short" and daemon.get(GUEST, b"k8") == b"long " * 200
    assert daemon.enumerate(GUEST) == guest.dump() and daemon.get(GUEST, b"k1") is None


def test_what_the_host_writes_casdisk_reads(daemon):
    external = store(EXTERNAL)
    daemon.set(EXTERNAL, b"a", b"LONGER VALUE")
    daemon.set(EXTERNAL, b"b", "\u00e4".encode())
    daemon.set(EXTERNAL, b"c", b"")
    assert external.dump() == [(b"a", b"LONGER VALUE"), (b"b", "\u00e4".encode()), (b"c", b"")]
    daemon.set(EXTERNAL, b"a", b"sh")
    with open(pool_path(EXTERNAL), "rb") as file:
        assert file.read(RECORD)[512:524] == b"sh\0GER VALUE", "the daemon leaves what was behind"
    assert external.get(b"a") == b"sh"
    assert daemon.delete(EXTERNAL, b"a") and not daemon.delete(EXTERNAL, b"a")
    assert external.dump() == daemon.enumerate(EXTERNAL) == [(b"b", "\u00e4".encode()), (b"c", b"")]
    # What the daemon moved and what casdisk changes afterwards.
    external.put(b"c", b"1")
    daemon.set(EXTERNAL, b"d", b"2")
    assert external.dump() == daemon.enumerate(EXTERNAL) == [(b"b", "\u00e4".encode()), (b"c", b"1"), (b"d", b"2")]


def test_fields_that_are_full(daemon):
    wide = store(AUTO_EXTERNAL, "wire")
    key, value = b"K" * 512, b"V" * 2048
    wide.put(key, value)
    assert daemon.enumerate(AUTO_EXTERNAL) == [(key, value)] and daemon.get(AUTO_EXTERNAL, key) == value
    daemon.set(AUTO_EXTERNAL, b"L" * 512, b"W" * 2048)
    assert wide.get(b"L" * 512) == b"W" * 2048
    assert wide.remove(key) and daemon.get(AUTO_EXTERNAL, key) is None


def test_duplicates_and_torn_tails(daemon):
    both = store(4)
    for value in (b"first", b"last"):
        both.append(b"k", value)
    both.append(b"l", b"1")
    assert daemon.enumerate(4) == both.dump() == [(b"k", b"first"), (b"k", b"last"), (b"l", b"1")]
    assert daemon.get(4, b"k") == b"first" and both.get(b"k") == b"last"  # which is why a put leaves one
    write_bytes(4, b"torn".ljust(RECORD - 1, b"x"))
    assert daemon.enumerate(4) == both.dump() and len(both.dump()) == 3
    both.put(b"k", b"new")
    assert os.path.getsize(pool_path(4)) == 2 * RECORD
    assert daemon.enumerate(4) == both.dump() == [(b"k", b"new"), (b"l", b"1")]
    assert daemon.get(4, b"k") == both.get(b"k") == b"new"


def test_the_daemon_waits_for_the_lock(daemon):
    with open(pool_path(GUEST), "r+b") as file:
        whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(file, 37, whole)  # F_OFD_SETLK, as casdisk takes it
        daemon.send(host.ENUMERATE, GUEST, struct.pack("<I", 0))
        daemon.socket.settimeout(0.3)
        try:
            daemon.receive()
            raise AssertionError("it answered while the pool was locked")
        except TimeoutError:
            pass
        finally:
            daemon.socket.settimeout(host.SECONDS)
    assert len(daemon.receive()) == host.MESSAGE  # closing the file has released it


def test_any_order_of_both(daemon):
    """In a pool that both write, one after the other, each sees what the other did."""
    random.seed(SEED)
    print(f"seed {SEED}")
    os.truncate(pool_path(EXTERNAL), 0)
    guest, expected = store(EXTERNAL), {}
    for _ in range(120):
        key, value = b"k%d" % random.randrange(12), bytes([random.randrange(97, 123)]) * random.choice((0, 1, 500, 511, 512, 1022))
        what = random.randrange(4)
        if what == 0:
            guest.put(key, value)
        elif what == 1:
            daemon.set(EXTERNAL, key, value)
        elif what == 2:
            assert guest.remove(key) == (expected.pop(key, None) is not None)
            continue
        else:
            assert daemon.delete(EXTERNAL, key) == (expected.pop(key, None) is not None)
            continue
        expected[key] = value
        seen = random.choice(list(expected))
        assert daemon.get(EXTERNAL, seen) == guest.get(seen) == expected[seen]
    assert dict(daemon.enumerate(EXTERNAL)) == dict(guest.dump()) == expected


def test_the_host_reads_while_casdisk_writes(daemon):
    """Every value that the host gets is whole: all one letter, and as long as its letter says."""
    os.truncate(pool_path(GUEST), 0)
    letters = b"abcdefgh"
    values = [bytes([letter]) * (i * 140 + 10) for i, letter in enumerate(letters)]
    writer = store(GUEST)
    writer.put(b"before", b"1")
    writer.put(b"k", values[0])
    over = threading.Event()

    def write():
        for i in range(90):
            writer.put(b"k", values[i % len(values)])
            if i % 3 == 0:
                writer.put(b"n%d" % (i % 5), b"1")
            elif i % 3 == 1:
                writer.remove(b"n%d" % ((i + 2) % 5))
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    count = 0
    while not over.is_set():
        assert daemon.get(GUEST, b"k") in values
        assert daemon.get(GUEST, b"before") == b"1"
        count += 1
    thread.join()
    assert count > 5, count
    assert daemon.enumerate(GUEST) == writer.dump()


def test_casdisk_reads_while_the_host_writes(daemon):
    """The daemon truncates the pool and writes it anew: under the lock, which casdisk waits for."""
    os.truncate(pool_path(EXTERNAL), 0)
    reader = store(EXTERNAL)
    for i in range(60):
        daemon.set(EXTERNAL, b"before%d" % i, b"1" * 1000)
    enough = threading.Event()
    count = 0

    def write():
        nonlocal count
        while not enough.is_set():
            count += 1
            daemon.set(EXTERNAL, b"k", b"%d" % count)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(25):
            assert reader.get(b"before59") == b"1" * 1000, count
    finally:
        enough.set()
        thread.join()
    assert count > 25 and reader.get(b"k") == b"%d" % count, count


def test_a_report_arrives(daemon):
    for outcome in (("failure", "--reason", "no lease"), ("success", "--extra", "seconds=3")):
        said = f.casdisk("report", *outcome, "--vm-id", "1-2-3", "--dir", f.tmp).rstrip("\n")
        assert daemon.get(GUEST, b"PROVISIONING_REPORT") == said.encode()
    assert said.startswith("result=success|agent=casdisk/") and said.endswith("|seconds=3")
    assert [key for key, _ in daemon.enumerate(GUEST)].count(b"PROVISIONING_REPORT") == 1


def test():
    if not os.path.exists(host.BINARY):
        f.skip("needs hv_kvp_daemon, of the package hyperv-daemons")
    daemon = host.Daemon(f.tmp)
    f.wait_until(5, lambda: os.path.exists(pool_path(4)), "the daemon makes its files")
    test_what_casdisk_writes_the_host_reads(daemon)
    test_what_the_host_writes_casdisk_reads(daemon)
    test_a_report_arrives(daemon)
    test_fields_that_are_full(daemon)
    test_duplicates_and_torn_tails(daemon)
    test_the_daemon_waits_for_the_lock(daemon)
    test_any_order_of_both(daemon)
    test_the_host_reads_while_casdisk_writes(daemon)
    test_casdisk_reads_while_the_host_writes(daemon)


test()
