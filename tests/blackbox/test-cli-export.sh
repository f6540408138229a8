#!/usr/bin/env bash
# An export is the image, in a file with holes, in a pipe and behind an NBD URI, or it is not there.
. "$(dirname "$0")/functions.sh"
requires jq --version
requires nbdcopy --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

make_image 32M image 3
truncate -s 40000001 image # ends in a hole, and in the middle of a block
"$CASDISK" init >/dev/null
"$CASDISK" import image a >/dev/null

"$CASDISK" export a@import out --json | jq -e '.size_bytes == 40000001' >/dev/null
same_bytes image out
apparent=$(stat -c %s out)
allocated=$(($(stat -c %b out) * 512))
[ "$apparent" -eq 40000001 ] || fail "$apparent bytes"
[ "$allocated" -le $(($(stat -c %b image) * 512 + 65536)) ] ||
  fail "the holes are gone: $allocated of $apparent bytes are allocated"
[ "$(stat -c %a out)" = "$(printf %o $((0666 & ~0$(umask))))" ] || fail "mode $(stat -c %a out)"
[ "$(echo out*)" = out ] || fail "left behind: $(echo out*)"

expect_exit 1 "$CASDISK" export a out 2>err
grep -q -- --force err
echo old >out
"$CASDISK" export a out --force --threads 1 >/dev/null
same_bytes image out
"$CASDISK" export a - | cmp - image
# A file behind stdout has holes too, wherever the image begins in it; one that is appended to has zeros.
{ printf "head" && "$CASDISK" export a - && printf "tail"; } >redirected
{ printf "head" && cat image && printf "tail"; } | cmp - redirected
[ $(($(stat -c %b redirected) * 512)) -le $((allocated + (1 << 20))) ] || fail "$(stat redirected)"
head -c 1M /dev/urandom >appended
head -c 1M appended >before
"$CASDISK" export a - >>appended
cat before image | cmp - appended
head -c 40000001 /dev/urandom >over # not cut to nothing first: zeros are written over what was there
"$CASDISK" export a - 1<>over
same_bytes image over
"$CASDISK" export a /dev/null >/dev/null

truncate -s 40000001 target
nbdkit -U - --foreground file target --run '"$CASDISK" export a "$uri"' >/dev/null
same_bytes image target
# What was there before shows through nowhere, also where the server cannot zero by itself.
head -c 41000000 /dev/urandom >target
nbdkit -U - --foreground --filter=nozero file target --run '"$CASDISK" export a "$uri"' >/dev/null
cmp -n 40000001 image target
nbdkit -U - --foreground memory 1M \
  --run 'code=0; "$CASDISK" export a "$uri" 2>err || code=$?; echo $code >code'
[ "$(cat code)" -eq 2 ]
grep -q "too few" err
nbdkit -U - --foreground -r memory 64M \
  --run 'code=0; "$CASDISK" export a "$uri" 2>err || code=$?; echo $code >code'
[ "$(cat code)" -eq 2 ]
grep -q "read-only" err

expect_exit 1 "$CASDISK" export nothing x 2>err
expect_exit 1 "$CASDISK" export a@nothing x 2>err
grep -q "casdisk log a" err
expect_exit 1 "$CASDISK" export a no/such/directory 2>err
expect_exit 2 "$CASDISK" export a . 2>err
expect_exit 2 "$CASDISK" export a - --json 2>err >/dev/null
# A disk that is full, or breaks: the error is said, nothing with the name of an image is left.
expect_exit 3 "$CASDISK" export a /dev/full 2>err
grep -q "No space left" err
[ -z "$(find . -name 'x*')" ] || fail "left behind: $(find . -name 'x*')"
(ulimit -f 10000 && trap '' XFSZ && expect_exit 3 "$CASDISK" export a x 2>err)
[ -z "$(find . -name 'x*')" ] || fail "left behind: $(find . -name 'x*')"
