#!/usr/bin/env bash
# Clients and servers that speak less of the protocol get the same bytes: no structured replies, one
# thread, the oldstyle handshake.
. "$(dirname "$0")/functions.sh"
requires nbdcopy --version
requires python3 -c 'import nbd'

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 8M
make_image 8M "$tmp/image"

round=0
for options in --no-sr --threads=1 "--no-sr --threads=1"; do
  round=$((round + 1))
  # shellcheck disable=SC2086 # several options
  start_nbdkit $options store="$tmp/store" disk=web
  # Each round finds the bytes of the one before, and leaves others.
  [ $round = 1 ] || { nbdcopy "$uri" "$tmp/before" && same_bytes "$tmp/before" "$tmp/image"; }
  make_image 8M "$tmp/image" $round
  nbdcopy "$tmp/image" "$uri"
  nbdcopy "$uri" "$tmp/out"
  same_bytes "$tmp/image" "$tmp/out"
  stop_nbdkit
done

# nbdkit 1.32 offers zeroing, FUA and flush to oldstyle clients and then refuses them, whatever the plugin.
start_nbdkit --oldstyle store="$tmp/store" disk=web
python3 - "$uri" "$tmp/image" <<'PYTHON'
import nbd, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
assert h.get_protocol() == "oldstyle", h.get_protocol()
image = bytearray(open(sys.argv[2], "rb").read())
assert h.get_size() == len(image) and h.pread(len(image), 0) == image
for offset, length in ((0, 512), (4095, 3), (1 << 20, 1 << 20), (len(image) - 1, 1)):
    image[offset:offset + length] = b"\x77" * length
    h.pwrite(b"\x77" * length, offset)
assert h.pread(len(image), 0) == image
PYTHON
