"""What the machine allows: no disk can be faster than these."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

from bench.clients import Sample
from bench.place import BUILD, GIB, KIB, MIB, Failed, run

MICRO = BUILD + "/bench/micro/casdisk_micro"
CHUNK_MIB = 64 * KIB / MIB


def seconds_for_a_chunk(*pieces, cores=1):
    """{piece of the micro-benchmarks: seconds}, on that many cores at once: what they share makes each slower"""
    if not os.path.exists(MICRO):
        raise Failed(f"{MICRO} is not built")

    def on_one(_):
        text = run(MICRO, f"--benchmark_filter=^({'|'.join(pieces)})$", "--benchmark_format=json",
                   "--benchmark_min_time=0.2")
        return {each["name"]: each["real_time"] / 1e9 for each in json.loads(text[text.index("{"):])["benchmarks"]}
    with ThreadPoolExecutor(cores) as pool:
        found = list(pool.map(on_one, range(cores)))
    return {piece: sum(each[piece] for each in found) / cores for piece in pieces}


def fio_file(place, size, *options):
    """The job's figures of writing a file of that size anew."""
    path = place.fresh("limit")
    try:
        text = run("fio", "--name=limit", f"--filename={path}", f"--size={size}", "--output-format=json", *options,
                   cwd=place.path)
        return json.loads(text[text.index("{"):])["jobs"][0]
    finally:
        place.forget(path)


def disk_mib_per_second(place, size):
    """Sequential writing, until all of it is on the device."""
    job = fio_file(place, size, "--rw=write", "--bs=1M", "--end_fsync=1")
    return size / MIB / (job["job_runtime"] / 1000)


def sync_seconds(place):
    """The median of fdatasync after 4 KiB, in a file whose blocks are written already."""
    job = fio_file(place, 64 * MIB, "--rw=randwrite", "--bs=4k", "--fdatasync=1", "--overwrite=1", "--runtime=3", "--time_based")
    return job["sync"]["lat_ns"]["percentile"]["50.000000"] / 1e9


def import_limit(place, size, stored_fraction):
    """The slower of hashing and compressing on all cores, and writing what is left to the device."""
    def measure():
        cores = len(os.sched_getaffinity(0))
        seconds = seconds_for_a_chunk("hash_64k", "compress_zstd", cores=cores)
        working = cores * CHUNK_MIB / (seconds["hash_64k"] + seconds["compress_zstd"])
        writing = disk_mib_per_second(place, int(size * stored_fraction)) / stored_fraction
        return Sample(min(working, writing))
    return measure


def lines(place):
    """For people."""
    seconds = seconds_for_a_chunk("copy_64k", "hash_64k", "compress_zstd", "decompress_zstd")

    def piece(name, word):
        return f"{word} in {seconds[name] * 1e6:.1f} us ({64 * KIB / seconds[name] / GIB:.1f} GiB/s)"
    return [f"Limits: on one core a chunk is {piece('copy_64k', 'copied')}, {piece('hash_64k', 'hashed')}, "
            f"{piece('compress_zstd', 'compressed')}, {piece('decompress_zstd', 'decompressed')}; "
            f"the device takes {disk_mib_per_second(place, GIB):.0f} MiB/s and syncs 4 KiB in "
            f"{sync_seconds(place) * 1e6:.0f} us."]
