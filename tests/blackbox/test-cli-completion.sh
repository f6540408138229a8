#!/usr/bin/env bash
# Tab completes commands, options, disks and checkpoints.
. "$(dirname "$0")/functions.sh"
export CASDISK_STORE=$tmp/store
cd "$tmp"
casdisk() { "$CASDISK" "$@"; }
. "$SRCDIR/scripts/completion.bash"

# completes EXPECTED WORD...: with the cursor behind the last word.
completes() {
  local expected=$1
  shift
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  _casdisk
  [ "${COMPREPLY[*]}" = "$expected" ] || fail "$* completes to \"${COMPREPLY[*]}\", not \"$expected\""
}

casdisk init >/dev/null
casdisk create web --size 1M >/dev/null
casdisk create work --size 1M >/dev/null
casdisk checkpoint web monday >/dev/null
# compgen fails when it finds nothing; from here on completes() judges.
trap - ERR
set +e
completes checkpoint casdisk ch
completes checkpoint casdisk --store "$tmp/store" ch
completes --format casdisk import --fo
completes --store casdisk --st
completes posix casdisk --io p
completes "web work" casdisk info w
completes web@monday casdisk fork web@
completes "" casdisk fork no
completes store casdisk import st
completes kv casdisk k
completes "truncate" casdisk kv tr
completes "stats snapshot sweep" casdisk kv s
completes "redis:// redis+unix://" casdisk kv get re
completes "$tmp/store" casdisk kv get lmdb : "$tmp/sto"
completes "$tmp/store" casdisk kv put memory: k --file "$tmp/sto"
completes --if-absent casdisk kv put --if-a
completes json casdisk kv dump --form j
completes "add audit" casdisk user a
completes rotate-key casdisk user rotate-
completes --grant casdisk user add --gr
completes "" casdisk user show al
casdisk user add alice >/dev/null 2>&1
casdisk user add albert >/dev/null 2>&1
token=$(casdisk token add alice --quiet)
completes "albert alice" casdisk user show al
completes "albert alice" casdisk token add --label x al
completes "${token:4:32}" casdisk token revoke "${token:4:6}"
completes aes-256-gcm casdisk user rotate-key --cipher a
