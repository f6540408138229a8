#!/usr/bin/env bash
# casdisk serve ends within seconds of SIGTERM although a client stays connected, which nbdkit alone would
# wait for; what the client wrote is there.
. "$(dirname "$0")/functions.sh"
requires python3 -c 'import nbd'

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 1M
start_serve web

python3 - "$uri" "$tmp/written" <<'PYTHON' &
import nbd, os, sys, time
h = nbd.NBD()
h.connect_uri(sys.argv[1])
h.pwrite(b"idle" * 1024, 4096)
open(sys.argv[2], "w").close()
while os.path.exists(sys.argv[2]):
    time.sleep(0.05)
PYTHON
client=$!
wait_until 10 test -e "$tmp/written"

began=$(date +%s%N)
kill "$serve_pid"
status=0
wait "$serve_pid" || status=$?
took_ms=$((($(date +%s%N) - began) / 1000000))
unset "running[$serve_pid]"
[ "$status" = 0 ] || fail "exit status $status"
[ "$took_ms" -lt 7000 ] || fail "took $took_ms ms"
[ ! -e "$tmp/store/run/web.sock" ]
kill -0 "$client" || fail "the client was not there any more: this shows nothing"
rm "$tmp/written"
wait "$client"

start_nbdkit store="$tmp/store" disk=web
python3 -c '
import nbd, sys
h = nbd.NBD(); h.connect_uri(sys.argv[1])
assert h.pread(4096, 4096) == b"idle" * 1024' "$uri"
stop_nbdkit

# Started under nohup it outlives its terminal; otherwise it ends with it.
requires nbdinfo --version
trap '' HUP
start_serve web
trap 'exit 143' HUP
kill -HUP "$serve_pid"
sleep 0.2
[ "$(nbdinfo --size "$uri")" = 1048576 ] || fail "SIGHUP ended it under nohup"
stop_nbdkit "$serve_pid"
start_serve web
kill -HUP "$serve_pid"
wait "$serve_pid" || fail "exit status $? after SIGHUP"
unset "running[$serve_pid]"
