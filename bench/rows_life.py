"""Rows of a disk's life: checkpoints, forks, opening, discarding all of it."""

import os
import subprocess
import time

from bench import servers
from bench.clients import Load, Sample, fio
from bench.matrix import Row, Target
from bench.place import CASDISK, GIB, KIB, MIB, resident_bytes, run

TIB = 1 << 40


def connected(uri):
    import nbd  # python3-libnbd, which scripts/bench has installed by now
    client = nbd.NBD()
    client.connect_uri(uri)
    return client


def flush(uri):
    client = connected(uri)
    client.flush()
    client.shutdown()


def seconds_of(*command):
    begin = time.monotonic()
    run(*command)
    return time.monotonic() - begin


def fork_subjects(bench):
    image = bench.image(GIB)
    store = bench.store("none")
    bench.import_once(store, image)

    def ours():
        return Sample(seconds_of(CASDISK, "--store", store.path, "fork", "base@import", next(bench.names)) * 1000)

    def overlay():
        path = bench.place.fresh("fork.qcow2")
        return Sample(seconds_of("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", path) * 1000)
    return {"casdisk": ours, "qemu-img create": overlay}


def checkpoint_subjects(dirty_bytes):
    """A checkpoint with that much dirty, of a disk that a client has open, and of one that nobody has: then the command
    seals it. Of the peers, what stands for one on a disk that is not running."""
    def subjects(bench):
        store = bench.store("none")
        name = next(bench.names)
        store.casdisk("create", name, "--size", 4 * GIB)
        server = bench.keep(servers.casdisk(bench.place, store, name))
        qcow2 = bench.place.fresh("snapshots.qcow2")
        run("qemu-img", "create", "-q", "-f", "qcow2", qcow2, str(4 * GIB))
        load = Load("write", 256 * KIB, depth=8, region=dirty_bytes, count=dirty_bytes // (256 * KIB))

        def unserved():
            fio(server, load, bench.place.path)
            return Sample(seconds_of(CASDISK, "--store", store.path, "checkpoint", name) * 1000)

        def ours():
            client = connected(server.uri)
            try:
                return unserved()
            finally:
                run(CASDISK, "--store", store.path, "seal", name, "--wait")
                client.shutdown()

        def snapshot():
            peer = servers.qemu_nbd(bench.place, qcow2, "qcow2")
            try:
                fio(peer, load, bench.place.path)
                begin = time.monotonic()
                flush(peer.uri)
                seconds = time.monotonic() - begin
            finally:
                peer.stop()
            return Sample((seconds + seconds_of("qemu-img", "snapshot", "-c", next(bench.names), qcow2)) * 1000)

        def bare_sync():
            path = bench.place.fresh("dirty")
            run("dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={dirty_bytes // MIB}", "status=none")
            descriptor = os.open(path, os.O_RDWR)
            begin = time.monotonic()
            os.fdatasync(descriptor)
            seconds = time.monotonic() - begin
            os.close(descriptor)
            bench.place.forget(path)
            return Sample(seconds * 1000)
        return {"casdisk": ours, "casdisk, unserved": unserved, "flush + qemu-img snapshot": snapshot, "fdatasync of as much": bare_sync}
    return subjects


def deep_disk(bench):
    """A disk of 1 TiB with 512 checkpoints."""
    store = bench.store("none")
    if "deep" not in bench.made:
        store.casdisk("create", "deep", "--size", TIB)
        server = servers.casdisk(bench.place, store, "deep")
        try:
            for i in range(512):
                fio(server, Load("randwrite", 4 * KIB, depth=8, count=32), bench.place.path)
                store.casdisk("checkpoint", "deep", f"c{i}")
            store.casdisk("seal", "deep", "--wait")
        finally:
            server.stop()
        bench.made.add("deep")
    return store


def open_subjects(bench):
    store = deep_disk(bench)

    def opened(make):
        def measure():
            begin = time.monotonic()
            server = make()
            try:
                run("nbdinfo", "--size", server.uri)
                seconds = time.monotonic() - begin
                return Sample(seconds * 1000, extra={"resident_mib": resident_bytes(server.process.pid) / MIB})
            finally:
                server.stop()
        return measure
    sparse = bench.place.fresh("sparse")
    with open(sparse, "wb") as file:
        file.truncate(TIB)
    return {"casdisk": opened(lambda: servers.casdisk(bench.place, store, "deep")),
            "file": opened(lambda: servers.nbdkit_file(bench.place, sparse)),
            "qcow2 overlay": opened(lambda: servers.qcow2_overlay(bench.place, sparse))}


def discard_subjects(bench):
    """mkfs.ext4 that discards 1 TiB first, through qemu-storage-daemon's FUSE export of each."""
    def made(make):
        def measure():
            server = make()
            mount = bench.place.fresh("export")
            open(mount, "w").close()
            daemon = subprocess.Popen(
                ["qemu-storage-daemon", "--blockdev", f"driver=nbd,node-name=n,server.type=unix,server.path={server.socket},"
                 f"export={server.export},discard=unmap", "--export", f"fuse,id=e,node-name=n,mountpoint={mount},writable=on"],
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                end = time.monotonic() + 10
                while os.path.getsize(mount) == 0 and time.monotonic() < end:
                    time.sleep(0.01)
                before = server.cpu_seconds()
                seconds = seconds_of("mkfs.ext4", "-q", "-F", "-E", "discard", mount)
                return Sample(seconds, (server.cpu_seconds() - before) * 1e6)
            finally:
                daemon.terminate()
                daemon.wait()
                server.stop()
        return measure

    def ours():
        store = bench.store("none")
        name = next(bench.names)
        store.casdisk("create", name, "--size", TIB)
        return servers.casdisk(bench.place, store, name)

    def qcow2():
        path = bench.place.fresh("tib.qcow2")
        run("qemu-img", "create", "-q", "-f", "qcow2", path, "1T")
        return servers.qemu_nbd(bench.place, path, "qcow2")
    return {"casdisk": made(ours), "qcow2": made(qcow2)}


def rows():
    yield Row("fork", "ms", fork_subjects, [Target("qemu-img create", 1.0)], lower_is_better=True)
    yield Row("checkpoint, 16 MiB dirty", "ms", checkpoint_subjects(16 * MIB), [], lower_is_better=True)
    yield Row("checkpoint, 1 GiB dirty", "ms", checkpoint_subjects(GIB), [], lower_is_better=True, quick=False,
              note="scripts/bench-live has the latency at the control socket and the guest's stalls")
    yield Row("opening a disk of 1 TiB with 512 checkpoints", "ms", open_subjects, [], lower_is_better=True, quick=False,
              note="server start included")
    yield Row("mkfs.ext4 with discard on 1 TiB", "s", discard_subjects, [Target("qcow2", 1.0)], lower_is_better=True,
              quick=False)
