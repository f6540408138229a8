"""Rows of served disks: reads, writes and what lies between, over a Unix socket."""

import json
import os
import random
import signal
import subprocess

from bench import servers
from bench.clients import Load, Sample, fio, nbdcopy_out
from bench.matrix import Row, Target
from bench.place import CASDISK, GIB, KIB, MIB, Failed, drop_page_cache, run

HOT = 32 * MIB     # within every cache, ours of 64 MiB too
WARM = 256 * MIB   # four times our cache; within the page cache
DISK = 1 * GIB


def warm(server, region, directory):
    fio(server, Load("read", 256 * KIB, depth=4, region=region, count=region // (256 * KIB)), directory)


def with_load(bench, opened, load, before=None):
    """{subject: measure}; `before` runs each time, unmeasured."""
    def measure(server):
        if before:
            before(server)
        return fio(server, load, bench.place.path)
    return {name: (lambda server=server: measure(server)) for name, server in opened.items()}


def readers(bench, region, codec="none", peers=("null", "memory", "file", "file+cow", "qemu-nbd raw", "qcow2 overlay")):
    """Servers of one image, all of which have read `region` once."""
    image = bench.image(DISK)
    make = {
        "casdisk": lambda: bench.serve_image(image, codec),
        "null": lambda: servers.nbdkit_null(bench.place, DISK),
        "memory": lambda: servers.nbdkit_memory(bench.place, DISK, image),
        "file": lambda: servers.nbdkit_file(bench.place, image),
        "file+cow": lambda: servers.nbdkit_cow(bench.place, image),
        "qemu-nbd raw": lambda: servers.qemu_nbd(bench.place, image, "raw"),
        "qcow2 overlay": lambda: servers.qcow2_overlay(bench.place, image),
        "qcow2 zstd": lambda: servers.qemu_nbd(bench.place, bench.zstd_qcow2(image), "qcow2"),
    }
    opened = {name: bench.keep(make[name]()) for name in ("casdisk", *peers)}
    for server in opened.values():
        warm(server, region, bench.place.path)
    return opened


def read_row(name, load, targets, region=HOT, codec="none", cold=False, quick=True, peers=None, cpu_target=None, note=""):
    load.region = region

    def subjects(bench):
        opened = readers(bench, region, codec, **({"peers": peers} if peers else {}))
        before = (lambda server: drop_page_cache(*server.files)) if cold else None
        return with_load(bench, opened, load, before)
    return Row(name, "1/s", subjects, [Target(*target) for target in targets], quick=quick, cpu_target=cpu_target, note=note)


def no_sr_row(name, load):
    """Without structured replies (serve --no-sr), which nbdkit sends in one system call less."""
    load.region = HOT

    def subjects(bench):
        image = bench.image(DISK)
        opened = {"casdisk": bench.serve_image(image, "none", "--no-sr"),
                  "casdisk with them": bench.serve_image(image, "none"),
                  "null": servers.nbdkit_null(bench.place, DISK, "--no-sr"),
                  "qcow2 overlay": servers.qcow2_overlay(bench.place, image)}
        for server in opened.values():
            warm(bench.keep(server), HOT, bench.place.path)
        return with_load(bench, opened, load)
    return Row(f"{name}, --no-sr", "1/s", subjects, [], note="null: without structured replies, too")


THREADS = (16, 1, 2, 4, 8, 32)  # the first is what `serve` takes


def thread_row(name, load, region=HOT, cold=False):
    """What the number of threads of a connection costs and gives, on one disk."""
    load.region = region

    def subjects(bench):
        image = bench.image(DISK)
        store = bench.store("none")
        bench.import_once(store, image)

        def serve(threads):
            disk = next(bench.names)
            store.casdisk("fork", "base@import", disk)
            server = bench.keep(servers.casdisk(bench.place, store, disk, threads=threads))
            warm(server, region, bench.place.path)
            return server
        opened = {f"{threads} threads": serve(threads) for threads in THREADS}
        before = (lambda server: drop_page_cache(*server.files)) if cold else None
        return with_load(bench, opened, load, before)
    return Row(f"{name}, by threads", "1/s", subjects, [], quick=False)


def chain(bench, depth):
    """A disk whose content came in that many checkpoints, each of a few scattered chunks."""
    name = f"depth{depth}"
    store = bench.store("none")
    if name not in bench.made:
        image = bench.image(DISK)
        bench.import_once(store, image)
        store.casdisk("fork", "base@import", name)
        server = servers.casdisk(bench.place, store, name)
        try:
            for i in range(depth - 1):
                fio(server, Load("randwrite", 4 * KIB, region=HOT, count=8), bench.place.path)
                store.casdisk("checkpoint", name, f"c{i}", "--wait")
        finally:
            server.stop()
        bench.made.add(name)
    server = bench.keep(servers.casdisk(bench.place, store, name))
    warm(server, HOT, bench.place.path)
    return server


def qcow2_chain(bench, depth):
    """The same of qcow2 overlays over the image."""
    rng = random.Random(depth)
    base, base_format = bench.image(DISK), "raw"
    for _ in range(depth - 1):
        overlay = bench.place.fresh("chain.qcow2")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", base, "-F", base_format, overlay, DISK)
        writes = [f"write -q {rng.randrange(HOT // (4 * KIB)) * 4}k 4k" for _ in range(8)]
        run("qemu-io", "-f", "qcow2", *(part for write in writes for part in ("-c", write)), overlay)
        base, base_format = overlay, "qcow2"
    server = bench.keep(servers.qemu_nbd(bench.place, base, base_format))
    warm(server, HOT, bench.place.path)
    return server


def failing(failure):
    """The measure of a subject that could not be made."""
    def measure():
        raise failure
    return measure


def chain_row(depth, at_least):
    load = Load("randread", 4 * KIB, depth=32, region=HOT)

    def subjects(bench):
        opened = {f"depth {depth}": chain(bench, depth), "depth 1": chain(bench, 1)}
        measures = with_load(bench, opened, load)
        if depth == 512:
            try:
                measures |= with_load(bench, {"qcow2 chain": qcow2_chain(bench, depth)}, load)
            except Failed as failure:
                measures["qcow2 chain"] = failing(failure)
        return measures
    return Row(f"4k random read, chain of {depth}", "1/s", subjects, [Target("depth 1", at_least)], quick=depth <= 64)


def fresh_disks(bench, peers, parameters=()):
    """Empty writable disks of one size, new for each call; ours is served with `parameters`."""
    def ours(parameters=()):
        store = bench.store("none")
        name = next(bench.names)
        store.casdisk("create", name, "--size", DISK)
        server = servers.casdisk(bench.place, store, name, parameters=parameters)
        server.remove = lambda: store.casdisk("rm", name)
        return server

    def sparse():
        path = bench.place.fresh("sparse")
        with open(path, "wb") as file:
            file.truncate(DISK)
        return path
    make = {
        "casdisk": lambda: ours(parameters),
        "casdisk with it": ours,
        "memory": lambda: servers.nbdkit_memory(bench.place, DISK),
        "file": lambda: servers.nbdkit_file(bench.place, sparse()),
        "file+cow": lambda: servers.nbdkit_cow(bench.place, sparse()),
        "qemu-nbd raw": lambda: servers.qemu_nbd(bench.place, sparse(), "raw"),
        "qcow2 overlay": lambda: servers.qcow2_overlay(bench.place, sparse()),
    }
    return {name: make[name] for name in ("casdisk", *peers)}


WRITE_PEERS = ("memory", "file", "file+cow", "qemu-nbd raw", "qcow2 overlay")
DURABLE_PEERS = ("file", "qemu-nbd raw", "qcow2 overlay")


def fresh_row(name, load, targets, peers=WRITE_PEERS, quick=True, note="", parameters=()):
    """Each measurement on a disk that nobody has written to."""
    def subjects(bench):
        def measure(make):
            server = make()
            try:
                return fio(server, load, bench.place.path)
            finally:
                server.stop()
                # With its pages in the page cache: the next subject is not to pay for taking them back.
                server.remove()
        makers = fresh_disks(bench, peers, parameters)
        return {name: (lambda make=make: measure(make)) for name, make in makers.items()}
    return Row(name, "1/s", subjects, [Target(*target) for target in targets], quick=quick, note=note)


def rewrite_row(name, load, targets, peers=WRITE_PEERS, quick=True, region=128 * MIB):
    """On disks whose region is written already."""
    load.region = region

    def subjects(bench):
        opened = {name: bench.keep(make()) for name, make in fresh_disks(bench, peers).items()}
        for server in opened.values():
            fio(server, Load("write", 256 * KIB, depth=4, region=region, count=region // (256 * KIB)), bench.place.path)
        return with_load(bench, opened, load)
    return Row(name, "1/s", subjects, [Target(*target) for target in targets], quick=quick)


def after_overwrites(bench):
    count = 100_000 if bench.quick else 1_000_000
    opened = {name: bench.keep(make()) for name, make in fresh_disks(bench, ("file", "qcow2 overlay")).items()}
    for server in opened.values():
        fio(server, Load("write", 256 * KIB, depth=4, region=WARM, count=WARM // (256 * KIB)), bench.place.path)
        fio(server, Load("randwrite", 4 * KIB, depth=32, region=WARM, count=count), bench.place.path)
    return with_load(bench, opened, Load("randread", 4 * KIB, depth=32, region=WARM))


def sealed_steadily(bench):
    """Writes while a checkpoint is made each half second, and sealed."""
    load = Load("randwrite", 4 * KIB, depth=32, region=128 * MIB, seconds=3)
    store = bench.store("none")
    name = next(bench.names)
    store.casdisk("create", name, "--size", DISK)
    ours = bench.keep(servers.casdisk(bench.place, store, name))
    peers = {name: bench.keep(make()) for name, make in fresh_disks(bench, ("file", "qcow2 overlay")).items() if name != "casdisk"}

    def with_checkpoints():
        script = f"while sleep 0.5; do '{CASDISK}' --store '{store.path}' checkpoint {name} >/dev/null; done"
        checkpoints = subprocess.Popen(["bash", "-c", script], start_new_session=True)
        try:
            return fio(ours, load, bench.place.path)
        finally:
            os.killpg(checkpoints.pid, signal.SIGTERM)
            checkpoints.wait()
    return {"casdisk": with_checkpoints, **with_load(bench, peers, load)}


def forks_at_once(count):
    def subjects(bench):
        image = bench.image(DISK)
        store = bench.store("none")
        bench.import_once(store, image)
        names = [next(bench.names) for _ in range(count)]
        for name in names:
            store.casdisk("fork", "base@import", name)
        ours = bench.keep(servers.casdisk(bench.place, store, ""))
        base = bench.keep(servers.nbdkit_file(bench.place, image))
        overlays = [bench.keep(servers.qcow2_overlay(bench.place, image)) for _ in range(count)]
        return {"casdisk": lambda: many(bench, [(ours, f"nbd+unix:///{name}?socket={ours.socket}") for name in names]),
                "file": lambda: many(bench, [(base, base.uri)] * count),
                "qcow2 overlay": lambda: many(bench, [(server, server.uri) for server in overlays])}
    return Row(f"4k random read, {'1 fork' if count == 1 else f'{count} forks'} of one base", "1/s", subjects, [], quick=count == 8,
               note="file: the base itself, without copies on write")


def many(bench, disks):
    """One fio job for each disk, at once; their sum."""
    parts = ["[global]", "ioengine=nbd", "rw=randread", "bs=4k", "iodepth=4", f"size={HOT}", "time_based", "runtime=2",
             "randrepeat=0", "norandommap", "thread", "group_reporting"]
    for i, (_, uri) in enumerate(disks):
        parts += [f"[job{i}]", f"uri={uri}"]
    path = bench.place.fresh("jobs")
    with open(path, "w") as file:
        file.write("\n".join(parts) + "\n")
    processes = {server.process.pid: server for server, _ in disks}
    before = sum(server.cpu_seconds() for server in processes.values())
    text = run("fio", "--output-format=json", path, cwd=bench.place.path)
    cpu = sum(server.cpu_seconds() for server in processes.values()) - before
    job = json.loads(text[text.index("{"):])["jobs"][0]["read"]
    return Sample(job["iops"], cpu / max(1, job["total_ios"]) * 1e6)


def copy_out(connections):
    def subjects(bench):
        opened = readers(bench, DISK, peers=("file", "qemu-nbd raw", "qcow2 overlay"))
        return {name: (lambda server=server: nbdcopy_out(server, connections)) for name, server in opened.items()}
    return Row(f"nbdcopy of 1 GiB, {connections} connection{'s' * (connections > 1)}", "MiB/s", subjects, [], quick=connections == 1)


def rows():
    read4k = [("file", 1.0), ("null", 0.9), ("qcow2 overlay", 1.15)]
    yield read_row("4k random read, hot, qd 1", Load("randread", 4 * KIB), [])
    yield read_row("4k random read, hot, qd 32", Load("randread", 4 * KIB, depth=32), read4k,
                   cpu_target=Target("qcow2 overlay", 0.7))
    yield read_row("4k random read, hot, qd 32, 4 connections", Load("randread", 4 * KIB, depth=32, connections=4),
                   [("file", 1.0), ("null", 0.85), ("qcow2 overlay", 2.0)])
    yield no_sr_row("4k random read, hot, qd 32", Load("randread", 4 * KIB, depth=32))
    yield no_sr_row("4k random read, hot, qd 32, 4 connections", Load("randread", 4 * KIB, depth=32, connections=4))
    yield read_row("4k random read, 4x the cache, raw", Load("randread", 4 * KIB, depth=32), [("file", 0.8)], region=WARM,
                   peers=("file", "qemu-nbd raw", "qcow2 overlay"))
    yield read_row("4k random read, 4x the cache, zstd", Load("randread", 4 * KIB, depth=32), [("qcow2 zstd", 1.5)],
                   region=WARM, codec="zstd", peers=("file", "qcow2 zstd"))
    yield read_row("4k random read, cold page cache", Load("randread", 4 * KIB, depth=32), [], region=DISK, cold=True,
                   quick=False, peers=("file", "qemu-nbd raw", "qcow2 overlay"))
    yield read_row("64k random read, hot", Load("randread", 64 * KIB, depth=32), [("file", 1.0), ("qcow2 overlay", 1.5)],
                   peers=("memory", "file", "qcow2 overlay"))
    yield read_row("256k sequential read, hot", Load("read", 256 * KIB, depth=8), [("file", 1.0), ("qcow2 overlay", 1.5)],
                   peers=("memory", "file", "qcow2 overlay"))
    yield read_row("mixed 70/30, 4k, qd 32", Load("randrw", 4 * KIB, depth=32, mix_read=70), [], quick=False,
                   peers=("memory", "file+cow", "qcow2 overlay"))
    yield thread_row("4k random read, hot, qd 32", Load("randread", 4 * KIB, depth=32))
    yield thread_row("4k random read, hot, qd 32, 4 connections", Load("randread", 4 * KIB, depth=32, connections=4))
    yield thread_row("4k random read, cold page cache, qd 32", Load("randread", 4 * KIB, depth=32), region=DISK, cold=True)
    yield chain_row(64, 0.97)
    yield chain_row(512, 0.97)
    yield from (forks_at_once(count) for count in (1, 8, 32))
    yield fresh_row("4k random write, fresh, qd 1", Load("randwrite", 4 * KIB, region=DISK), [], quick=False)
    yield fresh_row("4k random write, fresh, qd 32", Load("randwrite", 4 * KIB, depth=32, region=DISK),
                    [("file", 1.0), ("qcow2 overlay", 1.3)])
    yield fresh_row("4k random write, fresh, qd 32, --no-write-behind", Load("randwrite", 4 * KIB, depth=32, region=DISK), [],
                    peers=("casdisk with it", "file", "qcow2 overlay"), parameters=("write-behind=no",),
                    note="for guests that never flush")
    yield fresh_row("256 MiB of 4k random writes, then one flush",
                    Load("randwrite", 4 * KIB, depth=32, region=DISK, count=64 * 1024, no_repeats=True, flush_at_end=True),
                    [], peers=DURABLE_PEERS, note="until the flush has ended")
    yield Row("4k random write, steady state across seals", "1/s", sealed_steadily,
              [Target("file", 1.0), Target("qcow2 overlay", 1.3)], quick=False, note="a checkpoint each half second")
    yield rewrite_row("4k random rewrite, qd 32", Load("randwrite", 4 * KIB, depth=32), [], quick=False)
    for count in (32, 64):  # as many as a record of our journal carries, and more
        yield fresh_row(f"4k random write, flush each {count}",
                        Load("randwrite", 4 * KIB, depth=32, region=DISK, flush_every=count), [],
                        peers=DURABLE_PEERS, quick=False)
    yield fresh_row("4k random write, flush each, new blocks",
                    Load("randwrite", 4 * KIB, region=DISK, flush_every=1, no_repeats=True),
                    [("file", 1.0), ("qcow2 overlay", 1.3)], peers=DURABLE_PEERS)
    yield rewrite_row("4k random write, flush each, rewritten blocks", Load("randwrite", 4 * KIB, flush_every=1),
                      [("file", 1.2), ("qcow2 overlay", 1.3)], peers=DURABLE_PEERS)
    yield fresh_row("256k sequential write", Load("write", 256 * KIB, depth=8, region=DISK, count=DISK // (256 * KIB)),
                    [("file", 0.9), ("qcow2 overlay", 1.5)])
    yield Row("4k random read after a million random overwrites", "1/s", after_overwrites, [Target("file", 0.9)], quick=False)
    yield from (copy_out(connections) for connections in (1, 4))
