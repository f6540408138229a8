"""Loads on a served disk, and what each cost: fio's nbd engine and nbdcopy."""

import json
import time
from dataclasses import dataclass, field

from bench.place import Failed, run


@dataclass
class Sample:
    """One measurement of one subject. `value` is what rows compare."""
    value: float
    cpu_us: float | None = None  # of the server, for each operation
    extra: dict = field(default_factory=dict)


@dataclass
class Load:
    """What fio does. Sizes in bytes; `connections` jobs, each with `depth` requests in flight."""
    rw: str
    block: int
    depth: int = 1
    connections: int = 1
    region: int | None = None  # of the disk, from its beginning
    offset: int = 0
    flush_every: int = 0  # writes
    flush_at_end: bool = False  # and its time counts, as does fio's own to start and end
    count: int = 0        # operations instead of a time
    seconds: float = 2
    no_repeats: bool = False  # each block once
    mix_read: int = 0


def fio(server, load, directory):
    command = ["fio", "--name=load", "--ioengine=nbd", f"--uri={server.uri}", f"--rw={load.rw}", f"--bs={load.block}",
               f"--iodepth={load.depth}", f"--numjobs={load.connections}", "--group_reporting", "--randrepeat=0",
               "--output-format=json", "--thread", "--buffer_compress_percentage=50", "--refill_buffers=0"]
    if load.region:
        command.append(f"--size={load.region}")
    if load.offset:
        command.append(f"--offset={load.offset}")
    if load.flush_every:
        command.append(f"--fsync={load.flush_every}")
    if load.flush_at_end:
        command.append("--end_fsync=1")
    if load.mix_read:
        command.append(f"--rwmixread={load.mix_read}")
    if load.count:
        command.append(f"--number_ios={load.count}")
    else:
        command += ["--time_based", f"--runtime={load.seconds}"]
    if not load.no_repeats:
        command.append("--norandommap")
    before = server.cpu_seconds()
    text = run(*command, cwd=directory)
    cpu = server.cpu_seconds() - before
    job = json.loads(text[text.index("{"):])["jobs"][0]
    if job["error"]:
        raise Failed(f"fio: error {job['error']}")
    count = job["read"]["total_ios"] + job["write"]["total_ios"]
    if not count:
        raise Failed("fio: no operation was done")
    seconds = max(job["read"]["runtime"], job["write"]["runtime"]) / 1000
    if load.flush_at_end or not seconds:
        seconds = job["job_runtime"] / 1000
    latency = job["read" if job["read"]["total_ios"] else "write"]["clat_ns"]
    extra = {"p99_us": latency.get("percentile", {}).get("99.000000", 0) / 1000, "longest_us": latency["max"] / 1000}
    return Sample(count / seconds, cpu / count * 1e6, extra)


def nbdcopy_out(server, connections=1):
    """MiB/s of reading the whole disk."""
    before = server.cpu_seconds()
    begin = time.monotonic()
    run("nbdcopy", f"--connections={connections}", "--no-extents", server.uri, "null:")
    seconds = time.monotonic() - begin
    size = json.loads(run("nbdinfo", "--json", server.uri))["exports"][0]["export-size"]
    return Sample(size / seconds / (1 << 20), (server.cpu_seconds() - before) / (size / 65536) * 1e6)
