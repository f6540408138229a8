#!/usr/bin/env bash
# qemu with reconnect-delay lives through deaths of the server under `casdisk serve`: its writes and
# flushes go on where they were, without an error, and all of them are there.
. "$(dirname "$0")/functions.sh"
requires qemu-img --version
requires qemu-io --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 64M
start_serve web

qemu-img bench --image-opts -w -c 60000 -d 8 -s 4k --flush-interval=500 --pattern=0x3c \
  "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=$tmp/store/run/web.sock,file.export=web,file.reconnect-delay=20" \
  >"$tmp/bench" 2>&1 &
bench=$!
end_bench() { [ -z "$bench" ] || kill "$bench"; }
cleanup_fn end_bench

server() { tr -d ' ' <"/proc/$serve_pid/task/$serve_pid/children"; }
kills=0
while [ $kills -lt 5 ] && kill -0 "$bench" 2>/dev/null; do
  sleep 0.3
  until [ -n "$(server)" ]; do sleep 0.01; done
  kill -9 "$(server)"
  kills=$((kills + 1))
done
status=0
wait "$bench" || status=$?
bench=
[ $status = 0 ] || fail "qemu-img bench: status $status: $(cat "$tmp/bench")"
[ $kills -ge 2 ] || fail "only $kills kills: bench was too fast to show anything"
echo "qemu-img bench went on through $kills deaths of the server"

# It wrote 60000 blocks one after the other, round and round a disk of 16384.
qemu-io -r -f raw -c 'read -P 0x3c 0 64M' "$uri" >"$tmp/out" 2>&1
grep -q "67108864/67108864 bytes" "$tmp/out" || fail "$(cat "$tmp/out")"
