#!/usr/bin/env bash
# One image gives one root, whatever it is read from, and comes out again byte for byte.
. "$(dirname "$0")/functions.sh"
requires qemu-img --version
requires qemu-nbd --version
requires jq --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

make_image 24M image 7
"$CASDISK" init >/dev/null
"$CASDISK" import image raw --json >raw.json
root=$(jq -er .checkpoint.root raw.json)
[ "$(jq .size_bytes raw.json)" -eq $((24 << 20)) ] || fail "size: $(cat raw.json)"
[ "$(jq .new_stored_bytes raw.json)" -gt 1000000 ] || fail "stored nothing: $(cat raw.json)"

# same_as_raw NAME: the root is the same, diff agrees, and no chunk was stored a second time.
same_as_raw() {
  [ "$(jq -r .checkpoint.root "$1.json")" = "$root" ] || fail "$1: another root: $(cat "$1.json")"
  [ "$(jq .new_object_count "$1.json")" -le 1 ] || fail "$1 stored chunks anew: $(cat "$1.json")"
  "$CASDISK" diff raw "$1" >/dev/null
}

for format in qcow2 vmdk vhdx vdi; do
  qemu-img convert -f raw -O "$format" image "image.$format"
  "$CASDISK" --quiet import "image.$format" "$format" --json >"$format.json"
  [ "$(jq -r .format "$format.json")" = "$format" ] || fail "not seen as $format"
  same_as_raw "$format"
done
"$CASDISK" import image again --threads 1 --json >again.json
same_as_raw again
"$CASDISK" import - stdin --json <image >stdin.json
same_as_raw stdin
cat image | "$CASDISK" import - pipe --json >pipe.json
same_as_raw pipe
qemu-img create -q -f qcow2 -b image -F raw overlay.qcow2
"$CASDISK" import overlay.qcow2 overlay --json >overlay.json
same_as_raw overlay
nbdkit -U - --foreground file image --run '"$CASDISK" import "$uri" nbd --json >nbd.json'
same_as_raw nbd
nbdkit -U - --foreground --filter=noextents file image \
  --run '"$CASDISK" import "$uri" noextents --json >noextents.json'
same_as_raw noextents

# A raw file is a disk of that many bytes, also when a qcow2 image is what it holds.
"$CASDISK" import image.qcow2 bytes --format raw >/dev/null
"$CASDISK" export bytes bytes.out >/dev/null
same_bytes image.qcow2 bytes.out

# Sizes that are no multiple of anything, and images that are all hole, all zeros or end in either.
for size in 1 511 4095 4097 65535 65537 1048577 3000001; do
  make_image 4M odd "$size"
  truncate -s "$size" odd
  "$CASDISK" import odd "odd-$size" >/dev/null
  "$CASDISK" import - "pipe-$size" <odd >/dev/null
  "$CASDISK" diff "odd-$size" "pipe-$size" >/dev/null
  "$CASDISK" export "odd-$size" odd.out --force >/dev/null
  same_bytes odd odd.out
done
truncate -s 3000001 hole
"$CASDISK" import hole hole --json | jq -e '.data_bytes == 0 and .checkpoint.root == null' >/dev/null
head -c 3000001 /dev/zero | "$CASDISK" import - zeros --json |
  jq -e '.data_bytes == 0 and .size_bytes == 3000001' >/dev/null

# What cannot be imported, and that nothing is left of it.
"$CASDISK" ls --json >before.json
: >empty
expect_exit 2 "$CASDISK" import empty x 2>err
grep -q "empty" err
expect_exit 2 "$CASDISK" import - x </dev/null 2>err
grep -q "empty" err
expect_exit 1 "$CASDISK" import no-such-file x 2>err
grep -q "no-such-file" err
expect_exit 2 "$CASDISK" import . x 2>err
expect_exit 1 "$CASDISK" import image raw 2>err
grep -q "casdisk rm raw" err
expect_exit 2 "$CASDISK" import image x --format qcow3 2>err
grep -q "qcow2" err
expect_exit 2 "$CASDISK" import - x <image.qcow2 2>err
grep -q "qcow2" err
expect_exit 2 "$CASDISK" import image a/b 2>err
expect_exit 2 "$CASDISK" import image a@b 2>err
gzip -1 -k image
expect_exit 2 "$CASDISK" import image.gz x 2>err
grep -q "gzip -dc" err
expect_exit 3 "$CASDISK" --quiet import image x --format qcow2 2>err
expect_exit 3 "$CASDISK" import "nbd+unix:///?socket=$tmp/no-such-socket" x 2>err
grep -q "no-such-socket" err
# Somebody who has no qemu-nbd is told where to get one.
expect_exit 3 env PATH="$tmp" "$CASDISK" import image.qcow2 x 2>err
grep -q "install qemu-utils" err
for format in qcow2 vmdk vhdx vdi; do # cut short, at any length: never zeros for what is missing
  for part in 4 2; do
    head -c $(($(stat -c %s "image.$format") / part)) "image.$format" >cut.image
    expect_exit 3 "$CASDISK" --quiet import cut.image x --format $format 2>err
    grep -q "cut short" err
  done
done
# A server that fails in the middle, and one that dies there.
nbdkit -U - --foreground --filter=error file image error-pread-rate=100% error-pread=EIO \
  error-pread-file=/ --run 'code=0; timeout 20 "$CASDISK" import "$uri" x || code=$?; echo $code >code' 2>err
[ "$(cat code)" -eq 3 ] || fail "status $(cat code): $(cat err)"
"$CASDISK" ls --json >after.json
same_bytes before.json after.json
