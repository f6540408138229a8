#!/usr/bin/env bash
# Export names come from clients: which disk "" means, and that no name reaches anything else.
. "$(dirname "$0")/functions.sh"
requires nbdinfo --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create one --size 1M

size_of() { nbdinfo --size "nbd+unix:///$1?socket=$socket"; }
refused() { # refused NAME WORDS: the name is refused, the log says why, the server lives on
  size_of "$1" >"$tmp/out" 2>&1 && fail "served $1"
  grep -q -- "$2" "$nbdkit_log" || fail "no '$2' in: $(cat "$nbdkit_log")"
  [ "$(size_of one)" = 1048576 ] || fail "after $1 the disk does not answer"
}

# The only disk is the default.
start_nbdkit store="$tmp/store"
[ "$(size_of "")" = 1048576 ]
stop_nbdkit

"$CASDISK" create two --size 2M
start_nbdkit store="$tmp/store"
[ "$(size_of two)" = 2097152 ]
refused "" "2 disks: name one"
refused three "no disk named three"
refused one@three "no checkpoint one@three"
refused one@ "checkpoint name"
refused ../store "must begin with a letter"
refused ..%2F..%2Fetc%2Fpasswd "must begin with a letter"
refused a/b "letters, digits"
refused %2Fetc%2Fpasswd "must begin with a letter"
refused one%0Atwo "letters, digits"
refused "$(printf 'a%.0s' {1..4000})" "4000 bytes, at most"
refused -s "must begin with a letter"
refused %25s%25n%25n "must begin with a letter"
stop_nbdkit

# With disk= the client may name it or not, and nothing else.
start_nbdkit store="$tmp/store" disk=one
[ "$(size_of "")" = 1048576 ]
refused two "not served here"
refused one@three "not served here"

# Nothing was made by any of these names.
[ "$("$CASDISK" ls --json | jq '.disks | length')" = 2 ]
