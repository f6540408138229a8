#!/usr/bin/env bash
# A disk has one writing process; the second one is told who the first is. Checkpoints have no such limit.
. "$(dirname "$0")/functions.sh"
requires nbdinfo --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 16M
"$CASDISK" create other --size 16M
"$CASDISK" checkpoint web monday
start_nbdkit store="$tmp/store" disk=web
first=$nbdkit_pid

busy() { # busy STATUS COMMAND...
  local expected=$1
  shift
  expect_exit "$expected" "$@" >"$tmp/out" 2>&1
  grep -q "disk web is busy: held by pid $first" "$tmp/out" || fail "said: $(cat "$tmp/out")"
}

# nbdkit says so on the terminal, before it would go into the background.
busy 1 nbdkit --unix "$tmp/second.sock" "$CASDISK_PLUGIN" store="$tmp/store" disk=web
busy 4 "$CASDISK" serve web --socket "$tmp/third.sock"
busy 4 "$CASDISK" rm web

# A server of all disks serves the others.
start_nbdkit store="$tmp/store"
nbdinfo --size "nbd+unix:///web?socket=$socket" >"$tmp/out" 2>&1 && fail "two servers have one disk"
grep -q "disk web is busy: held by pid $first" "$nbdkit_log" || fail "said: $(cat "$nbdkit_log")"
[ "$(nbdinfo --size "nbd+unix:///other?socket=$socket")" = 16777216 ]
[ "$(nbdinfo --size "nbd+unix:///web@monday?socket=$socket")" = 16777216 ]

# Commands ask whoever has it.
"$CASDISK" checkpoint web tuesday

# It lets go of a disk when the disk's last client is gone.
"$CASDISK" checkpoint other tuesday

# Whoever is killed holds nothing any more.
kill_nbdkit "$first"
[ "$(nbdinfo --size "nbd+unix:///web?socket=$socket")" = 16777216 ]
