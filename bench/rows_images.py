"""Rows of whole images: in and out of a store, and the space that they take there."""

import os

from bench.clients import Sample
from bench.limits import import_limit
from bench.matrix import Row, Target
from bench.place import CASDISK, GIB, MIB, Failed, run, stored_bytes, timed


# Of an image of make_image() in a store of ours.
STORED_FRACTION = 0.51


def bandwidth(seconds_and_cpu, size):
    seconds, cpu = seconds_and_cpu
    return Sample(size / seconds / MIB, cpu / (size / 65536) * 1e6)


def to_durable(directory, *command, size, **options):
    """MiB of the image a second, until all of it is on the device."""
    text = " ".join(f"'{part}'" for part in map(str, command))
    return bandwidth(timed("bash", "-c", f"{text} && sync -f '{directory}'", **options), size)


def size_of(bench):
    return GIB if bench.quick else 4 * GIB


def into(place, make):
    """Measures make(a path that nothing has yet), and removes what it made."""
    def measure():
        target = place.fresh("target")
        try:
            return make(target)
        finally:
            place.forget(target)
    return measure


def import_subjects(bench):
    size = size_of(bench)
    image = bench.image(size)
    place = bench.place

    def ours():
        store = bench.new_store("zstd")
        try:
            return to_durable(place.path, CASDISK, "--store", store.path, "import", image, "a", size=size)
        finally:
            place.forget(store.path)

    def borg(target):
        environment = {**os.environ, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "BORG_BASE_DIR": place.path}
        run("borg", "init", "--encryption=none", target, env=environment)
        return to_durable(place.path, "borg", "create", "--compression=zstd,3", f"{target}::a", image, size=size,
                          env=environment)

    def restic(target):
        environment = {**os.environ, "RESTIC_PASSWORD": "x", "HOME": place.path}
        run("restic", "init", "--repo", target, env=environment)
        return to_durable(place.path, "restic", "--repo", target, "backup", image, size=size, env=environment)

    def casync(target):
        os.mkdir(target)
        return to_durable(place.path, "casync", "make", f"--store={target}/a.castr", f"{target}/a.caibx", image, size=size)
    return {
        "casdisk": ours,
        "limit": import_limit(place, size, STORED_FRACTION),
        "borg": into(place, borg),
        "restic": into(place, restic),
        "casync": into(place, casync),
        "cp --sparse": into(place, lambda target: to_durable(place.path, "cp", "--sparse=always", image, target, size=size)),
        "qemu-img convert": into(place, lambda target: to_durable(place.path, "qemu-img", "convert", "-O", "qcow2", image, target,
                                                          size=size)),
        "qemu-img convert -c": into(place, lambda target: to_durable(
            place.path, "qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", image, target, size=size)),
    }


def import_again_subjects(bench):
    size = size_of(bench)
    image = bench.image(size)
    store = bench.new_store("zstd")
    store.casdisk("import", image, "first")

    def ours():
        name = next(bench.names)
        return to_durable(bench.place.path, CASDISK, "--store", store.path, "import", image, name, size=size)

    return {"casdisk": ours, "b3sum": lambda: bandwidth(timed("b3sum", image), size)}


def export_subjects(bench):
    size = size_of(bench)
    image = bench.image(size)
    place = bench.place
    store = bench.new_store("zstd")
    store.casdisk("import", image, "a")
    qcow2 = bench.zstd_qcow2(image)

    return {
        "casdisk": into(place, lambda target: to_durable(place.path, CASDISK, "--store", store.path, "export", "a", target,
                                                  size=size)),
        "cp --sparse": into(place, lambda target: to_durable(place.path, "cp", "--sparse=always", image, target, size=size)),
        "qemu-img convert": into(place, lambda target: to_durable(place.path, "qemu-img", "convert", "-O", "raw", qcow2, target,
                                                          size=size)),
    }


def stored_subjects(bench):
    """A Debian image in three states; CASDISK_BENCH_STATES names the files of three raw images."""
    states = os.environ.get("CASDISK_BENCH_STATES", "").split(":")
    if len(states) != 3:
        raise Failed("CASDISK_BENCH_STATES=FRESH:UPGRADED:WITH-PACKAGES names no three images "
                     "(scripts/image-states makes them)")

    def ours():
        store = bench.new_store("zstd")
        for i, image in enumerate(states):
            store.casdisk("import", image, f"s{i}")
        run("sync", "-f", store.path)
        size = stored_bytes(store.path + "/packs") + stored_bytes(store.path + "/meta") + stored_bytes(store.path + "/locations")
        bench.place.forget(store.path)
        return Sample(size / MIB)

    def qcow2(*options):
        total = 0
        for image in states:
            target = bench.place.fresh("state")
            run("qemu-img", "convert", "-O", "qcow2", *options, image, target)
            total += stored_bytes(target)
            bench.place.forget(target)
        return Sample(total / MIB)
    return {"casdisk": ours, "qcow2": qcow2, "compressed qcow2": lambda: qcow2("-c", "-o", "compression_type=zstd")}


def rows():
    yield Row("import of a fresh image", "MiB/s", import_subjects,
              [Target("limit", 0.8), Target("borg", 2), Target("restic", 2), Target("casync", 2), Target("cp --sparse", 0.8),
               Target("qemu-img convert", 1.3)], quick=False,
              note="until all of it is on the device; limit: the slower of hashing and compressing on all cores, and writing what is left")
    yield Row("import of an image that the store has", "MiB/s", import_again_subjects, [Target("b3sum", 0.9)],
              note="b3sum reads and hashes it on all cores")
    yield Row("export", "MiB/s", export_subjects, [Target("cp --sparse", 0.8), Target("qemu-img convert", 1.3)], quick=False)
    yield Row("store bytes, one Debian image through three states", "MiB", stored_subjects,
              [Target("compressed qcow2", 1 / 0.6)], lower_is_better=True, quick=False)
