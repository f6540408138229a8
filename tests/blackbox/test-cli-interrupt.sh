#!/usr/bin/env bash
# Ctrl-C leaves nothing: no disk of an import, no file of an export; and it is heeded at once, also
# by a command that waits for a pipe or for a server that hangs.
. "$(dirname "$0")/functions.sh"
export CASDISK_STORE=$tmp/store
cd "$tmp"
mkdir out

# interrupted SIGNAL COMMAND...: is stopped after a while, ends within two seconds with status 130.
interrupted() {
  local signal=$1 pid status=0 tries
  shift
  # A job in the background ignores SIGINT and reads /dev/null unless told otherwise.
  env --default-signal=INT "$@" <&0 2>err &
  pid=$!
  sleep 0.7
  kill -0 "$pid" || fail "ended before it was interrupted: $*: $(cat err)"
  kill -s "$signal" "$pid"
  for ((tries = 0; tries < 40; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" || status=$?
  [ "$status" -eq 130 ] || fail "status $status: $*: $(cat err)"
  grep -q "interrupted" err || fail "does not say so: $(cat err)"
}

"$CASDISK" init >/dev/null
make_image 8M image
"$CASDISK" import image a >/dev/null
"$CASDISK" ls --json >before

# A stream that never ends, one that stalls.
interrupted INT "$CASDISK" import - x < <(exec head -c 4G /dev/urandom)
mkfifo fifo
sleep 60 >fifo &
sleeper=$!
cleanup_fn kill "$sleeper"
interrupted TERM "$CASDISK" import - x <fifo
# A server that hangs, at import and at export. A new one each time: nbdkit 1.32 may abort when a client
# goes away with requests in flight.
slow_server() {
  rm -f slow.sock
  nbdkit --foreground --exit-with-parent -U slow.sock --filter=noextents --filter=delay memory 64M \
    rdelay=30 wdelay=30 2>/dev/null &
  slow=$!
  running[$slow]=1
  cleanup_fn kill_nbdkit "$slow"
  wait_until 5 test -S slow.sock
}
slow_server
interrupted INT "$CASDISK" import "nbd+unix:///?socket=$tmp/slow.sock" x
slow_server
interrupted INT "$CASDISK" export a "nbd+unix:///?socket=$tmp/slow.sock"
slow_server
# The server dies: an error at once, not a wait.
timeout 20 "$CASDISK" import "nbd+unix:///?socket=$tmp/slow.sock" x 2>err &
pid=$!
sleep 0.5
kill_nbdkit "$slow"
status=0
wait "$pid" || status=$?
[ "$status" -eq 3 ] || fail "status $status: $(cat err)"
grep -q "slow.sock" err || fail "does not name the server: $(cat err)"
# A reader that does not read.
mkfifo reader
(exec sleep 60) <reader &
cleanup_fn kill $!
"$CASDISK" import - big < <(head -c 8M /dev/urandom) >/dev/null
interrupted INT "$CASDISK" export big reader
"$CASDISK" rm big >/dev/null
"$CASDISK" ls --json >after
same_bytes before after

# A file: made slow by a fallback on a slow file system would need one; a large sparse-free disk does.
head -c 256M /dev/urandom | "$CASDISK" --quiet import - large >/dev/null
stopped=0
for delay in 0.05 0.1 0.2 0.3; do
  "$CASDISK" export large out/file >/dev/null 2>err &
  pid=$!
  sleep "$delay"
  kill -TERM "$pid" 2>/dev/null || true
  status=0
  wait "$pid" || status=$?
  if [ "$status" -eq 0 ]; then
    rm out/file
  else
    [ "$status" -eq 130 ] || [ "$status" -eq 143 ] || fail "status $status: $(cat err)"
    stopped=$((stopped + 1))
  fi
  [ -z "$(ls out)" ] || fail "left behind: $(ls out)"
done
[ "$stopped" -gt 0 ] || skip "this machine is too fast to be interrupted"
# kill -9 cannot be cleaned up after: what is left says what it is, and does not have the name.
"$CASDISK" export large out/file >/dev/null 2>err &
pid=$!
wait_until 5 test -n "$(sleep 0.1; ls out)"
kill -9 "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
[ ! -e out/file ] || same_bytes <("$CASDISK" export large -) out/file
"$CASDISK" export large out/file --force >/dev/null
