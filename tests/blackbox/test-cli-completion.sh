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
