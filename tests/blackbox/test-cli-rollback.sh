#!/usr/bin/env bash
# Checkpoints bring every byte back, forks are left alone, and a shrunk disk forgets for good.
. "$(dirname "$0")/functions.sh"
requires qemu-io --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

# poke DISK COMMAND...: what qemu-io does to a served disk.
poke() {
  local disk=$1 command options=()
  shift
  for command; do options+=(-c "$command"); done
  start_nbdkit store="$CASDISK_STORE" disk="$disk"
  qemu-io -f raw "${options[@]}" "$uri" >poke.out || fail "$(cat poke.out)"
  stop_nbdkit
}
# is DISK FILE: the disk's bytes are the file's.
is() {
  "$CASDISK" export "$1" is.out --force >/dev/null
  same_bytes is.out "$2"
}

make_image 20M image 11
"$CASDISK" init >/dev/null
"$CASDISK" import image base >/dev/null
"$CASDISK" fork base@import web >/dev/null
"$CASDISK" fork base other >/dev/null
poke web "write -P 0x11 3M 1M" "write -P 0x22 7777777 12345" "write -z 10M 2M" "discard 13M 1M"
"$CASDISK" export web one >/dev/null
"$CASDISK" checkpoint web one >/dev/null
is web@one one
poke web "write -P 0x33 0 20M"
"$CASDISK" export web two >/dev/null
expect_exit 1 cmp -s one two
is web@one one
"$CASDISK" checkpoint web two >/dev/null
poke web "write -P 0x44 5M 5M" # in no checkpoint
"$CASDISK" rollback web one >/dev/null
is web one
"$CASDISK" rollback web two >/dev/null
is web two
"$CASDISK" rollback web one >/dev/null
poke web "write -P 0x55 0 64k"
"$CASDISK" checkpoint web three >/dev/null
"$CASDISK" log web | awk 'NR > 1 {print $1, $NF}' >log
diff log - <<'LOG'
web@three kept
web@one kept
base@import kept
web@two aside
LOG
"$CASDISK" rm web@one >/dev/null
"$CASDISK" log web | grep -q '^web@one .* removed$'
is web@two two
"$CASDISK" rm base >/dev/null
is other image
is web@two two
"$CASDISK" fork web@two copy >/dev/null
is copy two

# Shrink, grow: zeros, not what was there. At sizes that are no multiple of anything.
for size in 8388608 8400000 5000001 65537 4097 1; do
  "$CASDISK" fork web@two "cut-$size" >/dev/null
  expect_exit 2 "$CASDISK" resize "cut-$size" $size 2>/dev/null
  "$CASDISK" resize "cut-$size" $size --shrink >/dev/null
  "$CASDISK" resize "cut-$size" 20M >/dev/null
  head -c $size two >expected
  truncate -s 20M expected
  is "cut-$size" expected
done
is web@two two
"$CASDISK" rollback web two >/dev/null
"$CASDISK" resize web 30M >/dev/null
cp two expected
truncate -s 30M expected
is web expected
"$CASDISK" rollback web two >/dev/null # the size too
is web two

# A chain of checkpoints: every link stays what it was.
"$CASDISK" create chain --size 1M >/dev/null
truncate -s 1M expected
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  poke chain "write -P $i $((i * 50))k 30k"
  "$CASDISK" checkpoint chain "c$i" >/dev/null
  "$CASDISK" export chain "chain-$i" >/dev/null
done
for i in 1 6 12; do is "chain@c$i" "chain-$i"; done
[ "$("$CASDISK" log chain | wc -l)" -eq 13 ]
