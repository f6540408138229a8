#!/usr/bin/env bash
# Block devices are imported from and exported to in place; a mounted one is left alone.
. "$(dirname "$0")/functions.sh"
requires_loop
export CASDISK_STORE=$tmp/store
cd "$tmp"

make_image 16M image 5
head -c 17M /dev/urandom >backing
device=$(losetup --find --show backing)
cleanup_fn losetup --detach "$device"
"$CASDISK" init >/dev/null
"$CASDISK" import image a >/dev/null
"$CASDISK" export a "$device" >/dev/null
cmp -n $((16 << 20)) image "$device"
cmp -i $((16 << 20)) backing "$device" # the rest of it is as it was

"$CASDISK" import "$device" b >/dev/null
"$CASDISK" export b b.out >/dev/null
cmp b.out "$device"

# Its first bytes are whoever's wrote to it last: not to be believed.
qemu-img create -q -f qcow2 small.qcow2 64M
dd if=small.qcow2 of="$device" conv=notrunc status=none
"$CASDISK" import "$device" c --json | jq -e '.format == "raw" and .size_bytes == 17825792' >/dev/null

"$CASDISK" create large --size 18M >/dev/null
expect_exit 2 "$CASDISK" export large "$device" 2>err
grep -q "too few" err
mkfs.ext4 -q -F "$device" 15M
mkdir mounted
mount "$device" mounted
cleanup_fn umount "$tmp/mounted"
expect_exit 4 "$CASDISK" export a "$device" 2>err
grep -q "in use" err
