#!/usr/bin/env bash
# What the plugin says of itself, and that a wrong parameter is refused on the terminal with words that help.
. "$(dirname "$0")/functions.sh"
requires nbdkit --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 1M

help=$(nbdkit --help "$CASDISK_PLUGIN")
for word in store= disk= cache= "io=auto|uring|posix" access= psk-file=; do
  grep -qF -- "$word" <<<"$help" || fail "--help lacks $word"
done
dump=$(nbdkit --dump-plugin "$CASDISK_PLUGIN")
for line in name=casdisk thread_model=parallel casdisk_chunk=65536; do
  grep -qxF -- "$line" <<<"$dump" || fail "--dump-plugin lacks $line: $dump"
done
grep -qE '^casdisk_io_uring=(yes|no)$' <<<"$dump"
grep -qE '^casdisk_version=[0-9]+\.' <<<"$dump"

# Nothing but plugin_init leaves the plugin: nbdkit loads it into the global scope.
exported=$(nm -D --defined-only "$CASDISK_PLUGIN" | cut -d' ' -f3)
[ "$exported" = plugin_init ] || fail "exports: $exported"

refused() { # refused WORDS PARAMETER...
  local words=$1
  shift
  # Without --foreground: the error must come before nbdkit goes into the background.
  if nbdkit --unix "$tmp/refused.sock" --pidfile "$tmp/refused.pid" "$CASDISK_PLUGIN" "$@" >"$tmp/out" 2>&1; then
    kill "$(cat "$tmp/refused.pid")"
    fail "started with $*"
  fi
  grep -q -- "$words" "$tmp/out" || fail "$*: no '$words' in: $(cat "$tmp/out")"
}
refused 'unknown parameter "disc"' disc=web
refused "no disk named nope" disk=nope
refused "no checkpoint web@nope" disk=web@nope
refused "must begin with a letter" disk=../web
refused "checkpoint name" disk=web@
refused "give auto, uring or posix" io=fast
refused "is not a size" cache=lots
refused "from 1M to" cache=1
refused "store= is empty" store= disk=web
refused "lmdb:$tmp/nowhere" disk=web access="lmdb:$tmp/nowhere"
refused "is not a casdisk store" store="$tmp" disk=web
refused "is not a casdisk store" "$tmp/nowhere"

# The store: the default, by its bare name, and by a path that is relative to where nbdkit was started.
for parameters in "" "$tmp/store" "store=store"; do
  # shellcheck disable=SC2086 # none or one
  (cd "$tmp" && nbdkit --unix - "$CASDISK_PLUGIN" $parameters --run 'nbdinfo --size "$uri"') >"$tmp/out"
  [ "$(cat "$tmp/out")" = 1048576 ] || fail "with '$parameters': $(cat "$tmp/out")"
done
