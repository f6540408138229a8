#!/usr/bin/env bash
# qemu's own client: qemu-io reads back what it writes, zeroes and discards; qemu-img converts in and out,
# compares and runs its benchmark with flushes.
. "$(dirname "$0")/functions.sh"
requires qemu-img --version
requires qemu-io --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 64M
start_nbdkit store="$tmp/store" disk=web

# qemu-io ends with 0 also when a pattern does not match.
qemu-io -f raw -c 'write -P 0x11 0 1M' -c 'write -P 0x22 4095 3' -c 'write -f -P 0x33 65535 2' \
  -c 'write -z 128k 64k' -c 'write -z -u 256k 4k' -c 'discard 512k 64k' -c flush \
  -c 'read -P 0x11 0 4095' -c 'read -P 0x22 4095 3' -c 'read -P 0x11 4098 61437' \
  -c 'read -P 0x33 65535 2' -c 'read -P 0 128k 64k' -c 'read -P 0 256k 4k' -c 'read -P 0 512k 64k' \
  -c 'read -P 0x11 577k 447k' -c 'read -P 0 1M 1M' "$uri" >"$tmp/out" 2>&1 ||
  { cat "$tmp/out"; fail "qemu-io"; }
! grep -iE "fail|error" "$tmp/out" || fail "qemu-io: $(cat "$tmp/out")"

make_image 64M "$tmp/image"
qemu-img convert -n -f raw -O raw "$tmp/image" "$uri"
qemu-img compare -f raw -F raw "$tmp/image" "$uri"
qemu-img convert -f raw -O qcow2 "$uri" "$tmp/out.qcow2"
qemu-img compare -f raw -F qcow2 "$tmp/image" "$tmp/out.qcow2"

qemu-img bench -f raw -w -c 2000 -d 16 -s 4k --flush-interval=50 --pattern=7 "$uri" >/dev/null
qemu-img bench -f raw -c 2000 -d 16 -s 64k "$uri" >/dev/null
qemu-io -f raw -c 'read -P 7 0 2000k' "$uri" | grep -q "2048000/2048000 bytes" || fail "bench's bytes"
! qemu-img compare -q -f raw -F raw "$tmp/image" "$uri" || fail "a disk that was written is the same"
