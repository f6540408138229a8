#!/usr/bin/env bash
# A disk over a raw image reads as it; an image that was changed or removed is an error, never zeros;
# ingested, it is not needed any more.
. "$(dirname "$0")/functions.sh"
requires jq --version
requires qemu-io --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

make_image 8M image 13
cp --sparse=always image kept
"$CASDISK" init >/dev/null
"$CASDISK" create a --fallback image --json | jq -e '.size_bytes == 8388608' >/dev/null
"$CASDISK" create b --fallback image --size 9000000 >/dev/null
"$CASDISK" info a --json | jq -e --arg path "$(realpath image)" '.fallback.path == $path' >/dev/null
"$CASDISK" export a out >/dev/null
same_bytes out kept
"$CASDISK" export b out --force >/dev/null
truncate -s 9000000 kept
same_bytes out kept
truncate -s 8M kept
start_nbdkit store="$CASDISK_STORE" disk=b
qemu-io -f raw -c "write -P 0x77 100k 1k" "$uri" >/dev/null
stop_nbdkit
"$CASDISK" checkpoint b one >/dev/null
"$CASDISK" export b b.out >/dev/null

# Not even --force replaces a file that a disk reads, by whatever name.
ln -s image link
for name in image link "$tmp/image"; do
  expect_exit 2 "$CASDISK" export b "$name" --force 2>err
  grep -q "fallback of disk" err || fail "said: $(cat err)"
done
cmp image kept

# refused NAME: exporting it fails with 3, names the file and leaves nothing.
refused() {
  rm -f x
  expect_exit 3 "$CASDISK" --io posix export "$1" x 2>err
  grep -q "$(realpath image)" err || fail "does not name the file: $(cat err)"
  [ -z "$(find . -name 'x*')" ] || fail "left behind: $(find . -name 'x*')"
}
"$CASDISK" --store store2 init >/dev/null
"$CASDISK" --store store2 create a --fallback image >/dev/null
mv image image.away
CASDISK_STORE=store2 refused a
cp --sparse=always image.away image # the same bytes, another file: it cannot be told
CASDISK_STORE=store2 refused a
mv image.away image
printf x | dd of=image bs=1 seek=300000 conv=notrunc status=none
CASDISK_STORE=store2 refused a
expect_exit 3 "$CASDISK" --store store2 ingest a 2>err
rm image
CASDISK_STORE=store2 refused a

# In a store that has ingested it, nobody notices.
cp --sparse=always kept image
"$CASDISK" create c --fallback image >/dev/null
"$CASDISK" create d --fallback image >/dev/null
"$CASDISK" ingest c --json | jq -e '.disk == "c" and .ingested_bytes == 8388608' >/dev/null
rm image
for disk in c d; do
  "$CASDISK" export "$disk" out --force >/dev/null
  same_bytes out kept
done
"$CASDISK" ingest c >/dev/null
