#!/usr/bin/env bash
# Nothing can be made its own ancestor: what would is refused, what comes near it (rolling back and on,
# forks of forks, names that are used again) gives chains that end and disks that open.
. "$(dirname "$0")/functions.sh"
requires jq --version
requires qemu-io --version
export CASDISK_STORE=$tmp/store
cd "$tmp"
quiet() { "$CASDISK" --quiet "$@" >/dev/null; }

make_image 4M image 21
quiet init
quiet import image a
expect_exit 1 "$CASDISK" import image a 2>err
expect_exit 1 "$CASDISK" fork a a 2>err
expect_exit 1 "$CASDISK" fork a@import a 2>err
expect_exit 1 "$CASDISK" checkpoint a import 2>err

# A disk that is copied into itself while it is served stays what it is; it is not imported from itself.
start_nbdkit store="$CASDISK_STORE" disk=a
quiet export a "$uri"
expect_exit 1 "$CASDISK" import "$uri" a 2>err
quiet export a out
same_bytes image out
stop_nbdkit

# Back to where it is, again and again, with checkpoints of the same content between.
for i in 1 2 3 4 5; do
  quiet rollback a import
  quiet checkpoint a "same$i"
  quiet rollback a "same$i"
done
# Forks of forks, the first of whose names is used again for a fork of the last.
quiet fork a@same5 b
quiet checkpoint b c1
quiet fork b@c1 c
quiet checkpoint c c1
quiet rm b
quiet fork c@c1 b
quiet checkpoint b c1
quiet fork b c2
quiet rm c
for disk in a b c2; do
  timeout 20 "$CASDISK" log "$disk" --json >log
  jq -e '[.checkpoints[].id] | length > 0 and length == (unique | length)' log >/dev/null ||
    fail "a checkpoint comes twice: $(cat log)"
  "$CASDISK" export "$disk" out --force >/dev/null
  same_bytes image out
  start_nbdkit store="$CASDISK_STORE" disk="$disk"
  qemu-io -f raw -c "write -P 0x5a 1M 64k" "$uri" >/dev/null
  stop_nbdkit
  timeout 20 "$CASDISK" info "$disk" >/dev/null
done
