#!/usr/bin/python3 -B
"""Of processes that make the same user at the same time one wins, and nothing is overwritten.

CASDISK_RACE_ROUNDS=N takes more rounds.
"""

import json
import os
import subprocess

import functions as f

ROUNDS = int(os.environ.get("CASDISK_RACE_ROUNDS", "30"))
RACERS = 4


def race(commands):
    """Runs them all at once: their exit codes, and what each said."""
    racers = [subprocess.Popen([f.CASDISK, *command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True) for command in commands]
    said = [racer.communicate() for racer in racers]
    return [racer.returncode for racer in racers], said


def show(name):
    return json.loads(f.casdisk("user", "show", name, "--json"))


def one_wins(name, options):
    """Each racer adds `name` with its own grants and what options(racer) says; the winner's are there."""
    codes, said = race([["user", "add", name, "--grant", f"read:of-{racer}", *options(racer)]
                        for racer in range(RACERS)])
    assert sorted(codes) == [0] + [1] * (RACERS - 1), (codes, said)
    winner = codes.index(0)
    user = show(name)
    assert user["id"] == json.loads(said[winner][0])["id"] and user["grants"] == [f"read:of-{winner}"], (user, said)
    for racer in range(RACERS):
        assert racer == winner or "exists already" in said[racer][1] or "is user" in said[racer][1], said[racer]
    return winner


def test_the_first_user_of_a_store():
    """The access store, its master key and its settings are made at the same time too."""
    for n in range(max(3, ROUNDS // 6)):
        os.environ["CASDISK_STORE"] = f"{f.tmp}/store-{n}"
        f.casdisk("init")
        one_wins("first", lambda racer: ["--psk"])
        path = f"{f.tmp}/psk-{n}"
        f.casdisk("user", "psk-file", path)
        with open(path) as file:
            assert len(file.readlines()) == 1
    # The last one is raced on.


def test_the_same_name():
    for n in range(ROUNDS):
        one_wins(f"user-{n}", lambda racer: [])
    names = [user["user"] for user in json.loads(f.casdisk("user", "ls", "--json"))["users"]]
    assert len(names) == ROUNDS + 1 and len(set(names)) == len(names), names


def test_the_same_unix_user():
    for n in range(ROUNDS):
        uid = str(2000 + n)
        codes, said = race([["user", "add", f"of-{n}-{racer}", "--uid", uid] for racer in range(RACERS)])
        assert sorted(codes) == [0] + [1] * (RACERS - 1), (codes, said)
        there = [json.loads(f.casdisk("user", "ls", "--json"))["users"]]
        owners = [user["user"] for user in there[0] if user["uid"] == 2000 + n]
        assert owners == [f"of-{n}-{codes.index(0)}"], owners
        assert not any(user["user"].startswith(f"of-{n}-") for user in there[0] if user["uid"] is None)


def test_each_makes_its_own():
    codes, said = race([["user", "add", f"own-{racer}"] for racer in range(16)])
    assert codes == [0] * 16, (codes, said)


test_the_first_user_of_a_store()
test_the_same_name()
test_the_same_unix_user()
test_each_makes_its_own()
