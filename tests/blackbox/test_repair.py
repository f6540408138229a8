#!/usr/bin/python3 -B
"""What is damaged comes back from wherever the same bytes still are; what does not is said, and never
served as something else. A store whose LMDB files are gone, empty, cut short or garbage comes back
from its packs: every checkpoint byte for byte, and what was written and not sealed.
"""

import json
import os
import random
import shutil
import subprocess

import functions as f
from tools import damage

CHUNKS = 48
STORE = os.environ["CASDISK_STORE"]


def command(*arguments, status=(0,)):
    done = subprocess.run([f.CASDISK, *arguments, "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode in status, f"{arguments}: status {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


def exported(name):
    f.casdisk("export", name, f"{f.tmp}/out", "--force", "--quiet")
    return damage.read(f"{f.tmp}/out")


def write(disk, offset, content):
    """Written and flushed by a client, and left unsealed by a server that dies."""
    server = f.Nbdkit(f"disk={disk}")
    client = f.connected(server.uri)
    client.pwrite(content, offset)
    client.flush()
    server.kill()


def mended_from_an_image(image, chunks):
    """A chunk that is nowhere else is lost, said and not served, until an image has it."""
    record = damage.record_of(STORE, chunks[7])
    record.flip_payload()
    said = command("repair", "--dry-run", status=(3,))
    assert said["damaged_count"] == 1 and said["mended_count"] == 0, said
    said = command("repair", status=(3,))
    assert sorted(v["name"] for v in said["volumes"]) == ["a", "a@import"], said
    with open(STORE + "/losses") as losses:
        assert f"range a@import {7 * f.CHUNK} {f.CHUNK}\n" in losses.read()
    server = f.Nbdkit("disk=a@import")
    try:
        f.connected(server.uri).pread(f.CHUNK, 7 * f.CHUNK)
        raise AssertionError("a lost chunk was read")
    except f.nbd.Error as error:
        assert error.errno == "EIO", error
    said = command("repair", "--from", image)
    assert said["from_image"] == 1 and said["clean"], said
    assert f.connected(server.uri).pread(f.CHUNK, 7 * f.CHUNK) == chunks[7]  # at once, without a restart
    server.stop()
    assert not os.path.exists(STORE + "/losses")
    assert command("verify")["clean"]


def mended_from_what_is_there(image, chunks):
    """Another copy in a pack; a fallback's file; the catalog."""
    damage.record_of(STORE, chunks[9]).flip_payload()
    command("verify", status=(3,))
    f.casdisk("import", image, "copy")  # a second copy, since the first is not trusted
    f.casdisk("rm", "copy")
    for record in damage.records(STORE):
        if record.kind == 3 and b"import" in record.payload:
            record.flip_payload(2)
    said = command("repair")
    assert said["clean"] and said["from_catalog"] >= 1, said

    f.casdisk("create", "over", "--fallback", image)
    f.casdisk("ingest", "over")
    for record in damage.records(STORE):
        if record.payload == chunks[11]:
            record.flip_payload()
    said = command("repair")
    assert said["clean"] and said["from_fallbacks"] == 1, said
    f.casdisk("rm", "over")


def spoil(path, how):
    if how == "deleted":
        os.remove(path)
    elif how == "empty":
        os.truncate(path, 0)
    elif how == "cut":
        os.truncate(path, 8192)  # LMDB's two meta pages, and nothing that they name
    elif how == "garbage":
        with open(path, "r+b") as file:
            file.write(random.Random(4).randbytes(os.path.getsize(path)))
    elif how == "folder":
        shutil.rmtree(os.path.dirname(path))


def is_refused_or_read():
    """Before the rebuild: an error, or an answer; never an empty store."""
    done = subprocess.run([f.CASDISK, "ls", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode == 0:
        assert [disk["name"] for disk in json.loads(done.stdout)["disks"]] == ["a", "b"]
    elif done.returncode > 0:
        assert "repair --rebuild" in done.stderr or "verify" in done.stderr, done.stderr


def copy_store(source, destination):
    shutil.rmtree(destination, ignore_errors=True)
    f.run("cp", "-a", "--sparse=always", source, destination)


def rebuilt(tables, how, wanted):
    for table in tables:
        spoil(f"{STORE}/{table}/data.mdb", how)
    is_refused_or_read()
    said = command("repair", "--rebuild")
    assert said["locations_lost"] == ("locations" in tables), (tables, how, said)
    assert said["catalog_lost"] == ("meta" in tables), (tables, how, said)
    for name, content in wanted.items():
        assert exported(name) == content, f"{tables} {how}: {name} differs; {said}"
    # The new table names damaged records too, where nothing else has the bytes; nothing needs these.
    mended = command("repair")
    assert mended["clean"] and mended["mended_count"] == 0, mended
    assert command("verify")["clean"]
    again = command("repair", "--rebuild")
    assert not again["locations_lost"] and not again["catalog_lost"]
    print(tables, how, "rebuilt:", said["said"], flush=True)


def lmdb_lost(chunks, rng):
    """a has checkpoints, a fork b, and unsealed writes on both, of which the notes tell."""
    wanted = {}
    for i in range(3):
        write("a", i * 5 * f.CHUNK + 4096, rng.randbytes(100_000))
        f.casdisk("checkpoint", "a", f"c{i}")
        wanted[f"a@c{i}"] = exported(f"a@c{i}")
    wanted["a@import"] = b"".join(chunks)
    f.casdisk("fork", "a@c1", "b")
    server = f.Nbdkit("disk=b")
    client = f.connected(server.uri)
    client.pwrite(rng.randbytes(f.CHUNK), 3 * f.CHUNK)
    client.flush()
    wanted["b"] = bytes(client.pread(len(wanted["a@import"]), 0))
    busy = f.casdisk_fails(4, "repair", "--rebuild")
    assert "busy" in busy, busy
    server.kill()
    keep = f"{f.tmp}/keep"
    copy_store(STORE, keep)
    for tables in (["locations"], ["meta"], ["locations", "meta"]):
        for how in ("deleted", "empty", "cut", "garbage", "folder"):
            copy_store(keep, STORE)
            rebuilt(tables, how, wanted)


def fallback_lost(image):
    """The record of a checkpoint says which file it is over, though not where that is."""
    f.casdisk("create", "over", "--fallback", image)
    f.casdisk("checkpoint", "over", "c")
    spoil(f"{STORE}/meta/data.mdb", "deleted")
    said = command("repair", "--rebuild")
    assert any("disk over" in line and "--fallback" in line for line in said["said"]), said
    missing = f.casdisk_fails(3, "export", "over@c", f"{f.tmp}/out", "--force")
    assert "repair --fallback" in missing, missing
    shutil.copy(image, image + ".copy")
    f.casdisk_fails(2, "repair", "--fallback", image + ".copy")
    command("repair", "--fallback", image)
    assert exported("over@c") == damage.read(image)


def test():
    rng = random.Random(1)
    chunks = [rng.randbytes(f.CHUNK) for _ in range(CHUNKS)]
    image = f"{f.tmp}/image"
    with open(image, "wb") as file:
        file.write(b"".join(chunks))
    f.casdisk("init", "--codec", "none")
    f.casdisk("import", image, "a")
    mended_from_an_image(image, chunks)
    mended_from_what_is_there(image, chunks)
    lmdb_lost(chunks, rng)
    fallback_lost(image)


test()
