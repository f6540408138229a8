#!/usr/bin/env bash
# scripts/fork-n: N disks of one source behind one server; all or none; with --rm nothing is left.
. "$(dirname "$0")/functions.sh"
requires nbdcopy --version

export CASDISK_STORE=$tmp/store
fork_n=$SRCDIR/scripts/fork-n
stop() { kill "$1" 2>/dev/null || true; }
disk_count() { "$CASDISK" info --json | grep -o '"disk_count":[0-9]*' | cut -d : -f 2; }

"$fork_n" --help | grep -q -- --background
expect_exit 2 "$fork_n" base 2>/dev/null
"$CASDISK" init
make_image 8M "$tmp/image"
"$CASDISK" import "$tmp/image" base

# Served until told to end; then they are gone.
"$fork_n" base 12 --rm >"$tmp/uris" &
fork_n_pid=$!
cleanup_fn stop "$fork_n_pid"
twelve_uris() { [ "$(wc -l <"$tmp/uris")" -eq 12 ]; }
wait_until 60 twelve_uris
nbdcopy "$(sed -n 12p "$tmp/uris")" "$tmp/out"
same_bytes "$tmp/image" "$tmp/out"
# They are disks of their own.
head -c 1M /dev/urandom >"$tmp/random"
truncate -s 8M "$tmp/random"
nbdcopy "$tmp/random" "$(sed -n 1p "$tmp/uris")"
nbdcopy "$(sed -n 2p "$tmp/uris")" "$tmp/out"
same_bytes "$tmp/image" "$tmp/out"
kill "$fork_n_pid"
expect_exit 130 wait "$fork_n_pid"
[ "$(disk_count)" -eq 1 ] || fail "disks are left"
[ -z "$(ls "$CASDISK_STORE"/run/_fork* 2>/dev/null)" ] || fail "a socket is left"

# In the background, as JSON, on a port.
"$fork_n" base@import 2 --prefix vm --port 0 --background --json >"$tmp/json"
read -r pid first < <(python3 -c 'import json, sys
answer = json.load(sys.stdin)
assert [d["disk"] for d in answer["disks"]] == ["vm1", "vm2"], answer
print(answer["pid"], answer["disks"][0]["uri"])' <"$tmp/json")
cleanup_fn stop "$pid"
nbdcopy "$first" "$tmp/out"
same_bytes "$tmp/image" "$tmp/out"
kill "$pid"
is_gone() { ! kill -0 "$pid" 2>/dev/null; }
wait_until 20 is_gone

# All or none; names alone.
expect_exit 1 "$fork_n" base 3 --prefix vm --no-serve 2>/dev/null
[ "$(disk_count)" -eq 3 ] || fail "some were made"
[ "$("$fork_n" base 2 --no-serve | tr '\n' ' ')" = "base-1 base-2 " ] || fail "not the names"
