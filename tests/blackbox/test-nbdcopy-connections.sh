#!/usr/bin/env bash
# nbdcopy in and out over one to four connections: every byte arrives, holes stay holes.
. "$(dirname "$0")/functions.sh"
requires nbdcopy --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
make_image 100M "$tmp/image"
# No multiple of a block, so that the last write is torn.
truncate -s -1234 "$tmp/image"
"$CASDISK" create web --size "$(stat -c %s "$tmp/image")"

for connections in 1 2 3 4; do
  start_nbdkit store="$tmp/store" disk=web
  nbdcopy --connections=$connections --requests=32 --flush "$tmp/image" "$uri"
  stop_nbdkit
  # Read by another server, of a disk that it had to recover.
  start_nbdkit store="$tmp/store" disk=web
  nbdcopy --connections=$connections --requests=32 "$uri" "$tmp/out"
  same_bytes "$tmp/image" "$tmp/out"
  stop_nbdkit
  rm "$tmp/out"
  "$CASDISK" rm web
  "$CASDISK" create web --size "$(stat -c %s "$tmp/image")"
done

start_nbdkit store="$tmp/store" disk=web
nbdcopy "$tmp/image" "$uri"
image_bytes=$(($(stat -c '%b * %B' "$tmp/image")))
store_bytes=$(du -s --block-size=1 "$tmp/store/disks" | cut -f1)
[ "$store_bytes" -lt $((image_bytes + (8 << 20))) ] ||
  fail "an image of $image_bytes bytes of data takes $store_bytes"
