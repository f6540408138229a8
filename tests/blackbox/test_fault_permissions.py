#!/usr/bin/python3 -B
"""Another user's store, and files that may not be read: each command names the file and says what to do, a
guest gets EIO and never zeros, what can be read goes on being read, and nothing is changed."""

import json
import os
import shutil
import subprocess

import functions as f
from functions import CHUNK, MIB
from tools.guest import Guest

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
SIZE = 4 * MIB


def give(path, owner):
    for folder, _, names in os.walk(path):
        for name in ["", *names]:
            os.chown(os.path.join(folder, name), owner, owner)


def fails(path, *arguments):
    """As nobody, because of `path`."""
    done = subprocess.run([*AS_NOBODY, f.CASDISK, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 3, f"{arguments}: {done}"
    assert path in done.stderr and "ermission denied" in done.stderr, f"{arguments}: {done.stderr}"
    assert "give this user access" in done.stderr, f"it does not say what to do: {done.stderr}"


def succeeds(*arguments):
    return f.run(*AS_NOBODY, f.CASDISK, *arguments)


def another_users_store(store):
    commands = (("ls",), ("info",), ("log", "web"), ("checkpoint", "web", "x"), ("rm", "web"),
                ("fork", "web", "w"), ("export", "web", f.tmp + "/out.raw"), ("serve", "web"), ("status",))
    for mode in (0o700, 0o755):  # it cannot be looked into; it can, and its files not
        os.chmod(store, mode)
        for command in commands:
            fails(store, *command)


def a_lease_of_others(store):
    """Somebody else has opened a disk of the store first: only who has it open is not known."""
    for lease in os.listdir(store + "/leases"):
        os.chown(f"{store}/leases/{lease}", 0, 0)
    assert [disk["state"] for disk in json.loads(succeeds("ls", "--json"))["disks"]] == ["unknown"]
    assert "unknown" in succeeds("status") and "unknown" in succeeds("status", "web")
    fails(store + "/leases", "checkpoint", "web", "x")
    give(store, NOBODY)


def a_file_of_others(store, guest):
    """The store is nobody's, and one pack is not."""
    pack = f"{store}/packs/{sorted(os.listdir(store + '/packs'))[0]}"
    os.chown(pack, 0, 0)
    guest.start()
    guest.check("a pack cannot be read")
    guest.fails("EIO", guest.client.pread, CHUNK, CHUNK * 9)
    guest.fails("EIO", guest.client.pwrite, b"torn", CHUNK * 9 + 5)
    guest.write(16 * 20, 16)
    assert guest.flushed()
    said = guest.server.logged()
    assert pack in said and "give this user access" in said, said
    fails(pack, "export", "web@import", f.tmp + "/public/out.raw")
    guest.die()
    os.chown(pack, NOBODY, NOBODY)
    guest.start()
    guest.check("it can be read again")
    assert any(guest.client.pread(CHUNK, CHUNK * 9))


def images():
    """Sources, fallbacks and destinations."""
    image = f.tmp + "/public/image.raw"
    with open(image, "wb") as file:
        file.write(os.urandom(SIZE))
    os.chmod(image, 0o600)
    fails(image, "import", image, "copy")
    fails(image, "create", "over", "--fallback", image)
    os.chmod(image, 0o644)
    succeeds("create", "over", "--fallback", image)
    os.chmod(image, 0o600)
    fails(image, "ingest", "over")
    fails(image, "export", "over", f.tmp + "/public/out.raw")
    assert not os.path.exists(f.tmp + "/public/out.raw")
    os.chmod(image, 0o644)
    succeeds("ingest", "over")
    fails(f.tmp, "export", "over", f.tmp + "/out.raw")
    succeeds("export", "over", f.tmp + "/public/out.raw")
    f.run("cmp", image, f.tmp + "/public/out.raw")


def server_of_nobody():
    server = f.Server([*AS_NOBODY, "nbdkit", "--foreground", "--exit-with-parent", "--unix",
                       f"{f.tmp}/public/{len(f.servers)}.sock", f.PLUGIN, "disk=web"])
    server.uri = f"nbd+unix:///?socket={f.tmp}/public/{len(f.servers) - 1}.sock"
    f.wait_until(20, lambda: f.succeeds("nbdinfo", "--size", server.uri), "a server of nobody")
    return server


def test():
    if os.getuid() != 0:
        f.skip("needs root")
    f.requires("setpriv", "--version")
    # Where nobody may not go the programs are of no use to them.
    os.chmod(f.tmp, 0o711)
    os.mkdir(f.tmp + "/public")
    os.chmod(f.tmp + "/public", 0o777)
    for name in ("CASDISK", "PLUGIN"):
        setattr(f, name, shutil.copy(getattr(f, name), f.tmp))
    os.environ["CASDISK_PLUGIN"] = f.PLUGIN
    store = f.tmp + "/store"
    f.casdisk("init")
    image = f.tmp + "/web.raw"
    with open(image, "wb") as file:
        file.write(os.urandom(SIZE))
    f.casdisk("import", image, "web")
    another_users_store(store)
    give(store, NOBODY)
    guest = Guest(SIZE, server_of_nobody)
    guest.write(3)
    guest.write(16 * 4, 16)
    assert guest.flushed()
    guest.die()
    a_lease_of_others(store)
    a_file_of_others(store, guest)
    guest.die()
    images()
    guest.start()
    guest.check("at the end")


test()
