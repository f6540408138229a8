#!/usr/bin/python3 -B
"""Root administers the users of a store that is another user's: what root makes is that user's, who goes on with
it, and nothing else is given away."""

import json
import os
import subprocess

import functions as f

if os.getuid() != 0:
    f.skip("needs root, to be other users")
OWNER, STRANGER = 4001, 4002
STORE = os.environ["CASDISK_STORE"]
os.chmod(f.tmp, 0o711)
os.mkdir(STORE)
os.chown(STORE, OWNER, OWNER)


def as_owner(*arguments):
    done = subprocess.run([f.CASDISK, *arguments], user=OWNER, group=OWNER, extra_groups=[], capture_output=True,
                          text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def owners_of_access():
    paths = [STORE + "/access"] + [f"{STORE}/{name}" for name in os.listdir(STORE) if name.startswith("access.")]
    paths += [f"{STORE}/access/{name}" for name in os.listdir(STORE + "/access")]
    assert len(paths) >= 4, paths
    return {os.lstat(path).st_uid for path in paths}


as_owner("init")
# Root makes the first user, and everything with it; then the key's lock and other keys.
f.casdisk("user", "add", "alice", "--uid", "1000", "--grant", "admin:*", "--psk")
assert owners_of_access() == {OWNER}
assert "alice" in as_owner("user", "ls")
f.casdisk("user", "rotate-key")
assert os.path.exists(STORE + "/access.key.lock") and owners_of_access() == {OWNER}
as_owner("user", "rotate-key")
as_owner("token", "add", "alice", "--quiet")
# What the owner makes root reads, and lock files that root makes anew are the owner's.
os.remove(STORE + "/access/lock.mdb")
assert len(json.loads(f.casdisk("token", "ls", "--json"))["tokens"]) == 1
assert owners_of_access() == {OWNER}
f.casdisk("user", "psk-file", STORE + "/keys.psk")
assert os.stat(STORE + "/keys.psk").st_uid == OWNER

# A file of root's that has its place elsewhere is not the owner's to have.
secret = f.tmp + "/secret"
with open(secret, "w") as file:
    file.write("root's")
os.link(secret, STORE + "/access/secret")
os.symlink(secret, STORE + "/access/link")
f.casdisk("user", "ls")
assert os.stat(secret).st_uid == 0
os.remove(STORE + "/access/secret")
os.remove(STORE + "/access/link")

# Nor is a key that is a third user's one of this store.
os.chown(STORE + "/access.key", STRANGER, STRANGER)
error = f.casdisk_fails(2, "user", "ls")
assert f"belongs to user {STRANGER}, not to user {OWNER}" in error, error
