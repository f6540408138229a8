#!/usr/bin/env bash
# casdisk serve: the URI that it prints works, its socket comes and goes with it, a server that dies is
# replaced, and every mistake has its own message and exit code.
. "$(dirname "$0")/functions.sh"
requires nbdinfo --version
requires jq --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 16M
"$CASDISK" create other --size 32M
"$CASDISK" checkpoint web monday

fails() { # fails STATUS WORDS ARGUMENT...: serve says WORDS
  local status=$1 words=$2
  shift 2
  expect_exit "$status" timeout 20 "$CASDISK" serve "$@" >"$tmp/out" 2>&1
  grep -q -- "$words" "$tmp/out" || fail "serve $*: no '$words' in: $(cat "$tmp/out")"
}

# A unix socket in the store by default; gone afterwards.
start_serve web
[ "$uri" = "nbd+unix:///web?socket=$tmp/store/run/web.sock" ] || fail "uri $uri"
[ "$(nbdinfo --size "$uri")" = 16777216 ]
fails 4 "disk web is busy: held by pid" web
fails 4 "is busy: held by pid $serve_pid" other --socket "$tmp/store/run/web.sock"

# The server dies: another one is there for whoever connects.
nbdkit_of() { cat "/proc/$serve_pid/task/$serve_pid/children"; }
for signal in ABRT KILL SEGV; do
  kill -s "$signal" "$(nbdkit_of | tr -d ' ')"
  [ "$(nbdinfo --size "$uri")" = 16777216 ] || fail "no answer after SIG$signal"
done
[ "$(grep -c "starting it again" "$serve_log")" = 3 ] || fail "log: $(cat "$serve_log")"
stop_nbdkit "$serve_pid"
[ -z "$(ls "$tmp/store/run")" ] || fail "left behind: $(ls "$tmp/store/run")"

# A dead supervisor's server dies too and its socket file is replaced.
start_serve web
child=$(nbdkit_of | tr -d ' ')
kill_nbdkit "$serve_pid"
wait_until 5 bash -c "! kill -0 $child 2>/dev/null || grep -q '^State:.Z' /proc/$child/status"
[ -S "$tmp/store/run/web.sock" ]
start_serve web --json
[ "$(jq -r .socket <<<"$uri")" = "$tmp/store/run/web.sock" ]
[ "$(jq -r .pid <<<"$uri")" = "$serve_pid" ]
[ "$(nbdinfo --size "$(jq -r .uri <<<"$uri")")" = 16777216 ]
stop_nbdkit "$serve_pid"

# Every disk; a checkpoint; TCP.
start_serve --all --socket "$tmp/a b?&.sock"
[ "$(nbdinfo --size "${uri/unix:\/\/\//unix:///other}")" = 33554432 ] || fail "uri $uri"
start_serve web@monday
[ "$(nbdinfo --size "$uri")" = 16777216 ]
is_structured() { nbdinfo --json "$uri" | jq -r '.structured'; }
has_holes() { nbdinfo --can df "$uri"; }
[ "$(is_structured)" = true ] && has_holes
start_serve other --no-sr
[ "$(is_structured)" = false ] && ! has_holes || fail "structured replies though --no-sr"
[ "$(nbdinfo --size "$uri")" = 33554432 ]
stop_nbdkit "$serve_pid"
start_serve other --no-write-behind
tr '\0' '\n' <"/proc/$(nbdkit_of | tr -d ' ')/cmdline" | grep -qx write-behind=no || fail "written behind though --no-write-behind"
stop_nbdkit "$serve_pid"
start_serve web --port 0
[ "$(nbdinfo --size "$uri")" = 16777216 ] || fail "uri $uri"
port=${uri#nbd://127.0.0.1:}
fails 4 "port ${port%/web} of 127.0.0.1 is busy" other --port "${port%/web}"
[ ! -s "$serve_log" ] || fail "said: $(cat "$serve_log")"
stop_nbdkit "$serve_pid"
start_serve web --port 0 --bind 0.0.0.0
grep -q "warning: whoever reaches" "$serve_log" || fail "no warning"
grep -q "from other machines: nbd://$(uname -n):" "$serve_log" || fail "no host: $(cat "$serve_log")"
[ "${uri%:*}" = nbd://localhost ] && [ "$(nbdinfo --size "$uri")" = 16777216 ] || fail "uri $uri"
stop_nbdkit "$serve_pid"

# Mistakes.
touch "$tmp/file"
fails 1 "no disk named nope" nope
fails 1 "no checkpoint web@nope" web@nope
fails 1 "is not a casdisk store" web --store "$tmp"
fails 1 "exists and is not a socket" web --socket "$tmp/file"
fails 2 "the system allows 107" web --socket "$tmp/$(printf 'x%.0s' {1..100})"
fails 2 "exclude each other" web --socket "$tmp/s" --port 0
fails 2 "goes with --port" web --tls
fails 2 "has no users yet" web --tls --port 0
fails 1 "lmdb:$tmp/nowhere" web --access "lmdb:$tmp/nowhere"
fails 2 "not an IP address" web --port 0 --bind nowhere
fails 2 "" web --all
fails 2 "" web --port 70000
fails 2 "" web --threads 0
[ ! -e "$tmp/s" ]
CASDISK_PLUGIN=$tmp/file fails 3 "before it answered" web
CASDISK_PLUGIN=$tmp/file fails 3 "$tmp/file" web
"$CASDISK" checkpoint web tuesday # nobody holds it
