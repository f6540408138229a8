#!/usr/bin/python3 -B
"""Reading and opening a disk cost the same after 500 checkpoints as after one.

A disk gets 500 checkpoints, each after a few changed chunks and with packs of its own. Its content,
imported into another store as a disk of one checkpoint, has the same root. Both are then served and
read at random: every byte must be equal; what it costs is printed, as this machine has it, and not judged,
except for what opening a disk asks of the kernel, which must not grow with the chain.

    CASDISK_CHAIN=2000     a longer chain
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

import functions as f
from functions import nbd
from functions import MIB

LENGTH = int(os.environ.get("CASDISK_CHAIN", "500"))
DISK_BYTES = 64 * MIB
FIRST_READ = "import nbd, sys; h = nbd.NBD(); h.connect_uri(sys.argv[1]); h.pread(1, 0)"
CACHE = "cache=4M"  # much less than the disk: reads go to the packs


def image(path, rng):
    """Half of it compresses."""
    words = [rng.randbytes(64) for _ in range(64)]
    with open(path, "wb") as file:
        for at in range(0, DISK_BYTES, MIB):
            file.write(rng.randbytes(MIB) if at // MIB % 2 else b"".join(rng.choices(words, k=MIB // 64)))


def store_of(disk):
    return f"{f.tmp}/{disk}"


def serve(disk, *parameters):
    return f.Nbdkit(f"store={store_of(disk)}", f"disk={disk}", *parameters)


def casdisk(disk, *arguments):
    return f.casdisk("--store", store_of(disk), "--quiet", *arguments)


def compare_reads(rng):
    """The same random reads from both."""
    servers = [serve(disk, CACHE) for disk in ("deep", "flat")]
    deep, flat = (f.connected(server.uri) for server in servers)
    seconds = [0, 0]
    for _ in range(3000):
        length = rng.choice((4096, 4096, 65536, 200001))
        at = rng.randrange(DISK_BYTES - length)
        found = []
        for i, client in enumerate((deep, flat)):
            begin = time.perf_counter()
            found.append(bytes(client.pread(length, at)))
            seconds[i] += time.perf_counter() - begin
        assert found[0] == found[1], f"bytes {at} to {at + length} differ"
    print(f"3000 reads of 4 to 200 KB: {LENGTH} deep {seconds[0]:.2f} s, flat {seconds[1]:.2f} s, "
          f"ratio {seconds[0] / seconds[1]:.2f}", flush=True)
    for server in servers:
        server.kill()


def fio_iops(disk):
    server = serve(disk, CACHE)
    done = subprocess.run(
        ["fio", "--name=read", "--ioengine=nbd", f"--uri={server.uri}", "--rw=randread", "--bs=4k",
         "--iodepth=16", "--time_based", "--runtime=2", "--ramp_time=0.3", f"--size={DISK_BYTES}",
         "--randseed=3", "--output-format=json"],
        cwd=f.tmp, capture_output=True, text=True, check=True)
    server.kill()
    return json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]["read"]["iops"]


def speed():
    if not shutil.which("fio"):
        print("no fio: speed is not reported")
        return
    best = {"deep": 0, "flat": 0}
    for disk in ("deep", "flat", "deep", "flat"):  # others use this machine too
        best[disk] = max(best[disk], fio_iops(disk))
    print(f"fio, 4k random reads, qd16: {LENGTH} deep {best['deep']:.0f}/s, flat {best['flat']:.0f}/s, "
          f"ratio {best['deep'] / best['flat']:.2f}", flush=True)


def opening_seconds(disk):
    """From nothing to the first byte, the best of five."""
    best = 1e9
    for _ in range(5):
        begin = time.perf_counter()
        server = serve(disk)
        f.connected(server.uri).pread(1, DISK_BYTES - 1)
        best = min(best, time.perf_counter() - begin)
        server.kill()
    return best


def opening_calls(disk):
    """Files opened and read, by the server until its first read is answered."""
    trace = f"{f.tmp}/trace"
    server = f"{f.tmp}/traced-{disk}.sock"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=openat,pread64,preadv,io_uring_enter,getdents64",
         "-o", trace, "nbdkit", "--unix", server, f.PLUGIN, f"store={store_of(disk)}", f"disk={disk}",
         "io=posix", "--run", f"{sys.executable} -c '{FIRST_READ}' $uri"],
        check=True, capture_output=True, cwd=f.tmp)
    with open(trace, encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if store_of(disk) in line or "pread" in line]
    return len([line for line in lines if re.search(r"= \d", line)])


def opening():
    deep, flat = opening_seconds("deep"), opening_seconds("flat")
    print(f"start to first byte: {LENGTH} deep {deep * 1000:.0f} ms, flat {flat * 1000:.0f} ms")
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True,
                      check=False).returncode:
        print("no strace: the calls of an open are not counted")
        return
    calls = {disk: opening_calls(disk) for disk in ("deep", "flat")}
    print(f"files opened and read until the first byte: {calls}")
    assert calls["flat"] > 0, "nothing was counted"
    assert calls["deep"] <= calls["flat"] + 8, f"opening costs more the longer the chain is: {calls}"


def test():
    rng = random.Random(9)
    image(f"{f.tmp}/base", rng)
    casdisk("deep", "init")
    casdisk("deep", "import", f"{f.tmp}/base", "deep")
    begin = time.monotonic()
    f.run(f"{f.TESTS_BUILD}/chain_of_checkpoints", store_of("deep"), "deep", str(LENGTH))
    print(f"{LENGTH} checkpoints in {time.monotonic() - begin:.1f} s", flush=True)
    chain = json.loads(casdisk("deep", "log", "deep", "--json"))["checkpoints"]
    assert len(chain) == LENGTH + 1, f"{len(chain)} checkpoints"
    casdisk("deep", "export", "deep", f"{f.tmp}/deep.raw")
    casdisk("flat", "init")
    casdisk("flat", "import", f"{f.tmp}/deep.raw", "flat")
    roots = [json.loads(casdisk(disk, "info", disk, "--json"))["root"] for disk in ("deep", "flat")]
    assert roots[0] and roots[0] == roots[1], f"equal disks have other roots: {roots}"
    compare_reads(rng)
    speed()
    opening()


test()
