#!/usr/bin/env bash
# What a disk offers its clients, as nbdinfo sees it, and that a checkpoint offers no writes.
. "$(dirname "$0")/functions.sh"
requires nbdinfo --version
requires jq --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 10G
"$CASDISK" create other --size 12345
"$CASDISK" checkpoint web monday
start_nbdkit store="$tmp/store"

flags() { # flags EXPORT: what it offers, as "name=value" lines
  nbdinfo --json "nbd+unix:///$1?socket=$socket" |
    jq -r '.exports[0] | to_entries[] | "\(.key)=\(.value)"'
}
expect_line() { grep -qxF -- "$1" <<<"$offered" || fail "no $1 in: $offered"; }

offered=$(flags web)
for line in export-size=10737418240 is_read_only=false is_rotational=false can_flush=true can_fua=true \
  can_trim=true can_zero=true can_fast_zero=true can_cache=true can_multi_conn=true can_df=true \
  block_size_minimum=1 block_size_preferred=65536 block_size_maximum=33554432 \
  'contexts=["base:allocation"]' 'description=10G disk, 1 checkpoint'; do
  expect_line "$line"
done

# A size that is no multiple of anything.
offered=$(flags other)
expect_line export-size=12345
expect_line 'description=12.1K disk, 0 checkpoints'

offered=$(flags web@monday)
for line in export-size=10737418240 is_read_only=true can_multi_conn=true can_cache=true; do
  expect_line "$line"
done

listed=$(nbdinfo --list --json "nbd+unix://?socket=$socket" | jq -r '.exports[]."export-name"' | tr '\n' ' ')
[ "$listed" = "other web web@monday " ] || fail "listed: $listed"

# An empty disk is one hole, whatever its size.
map=$(nbdinfo --map "nbd+unix:///web?socket=$socket" | tr -s ' ')
[ "$map" = " 0 10737418240 3 hole,zero" ] || fail "map: $map"

# With disk= there is this one alone.
stop_nbdkit
start_nbdkit store="$tmp/store" disk=web@monday
listed=$(nbdinfo --list --json "$uri" | jq -r '.exports[]."export-name"' | tr '\n' ' ')
[ "$listed" = "web@monday " ] || fail "listed with disk=: $listed"
