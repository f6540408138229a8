#!/usr/bin/env bash
# A flipped bit in a pack: the export fails, names the chunk and leaves no file; the rest is served.
. "$(dirname "$0")/functions.sh"
requires qemu-io --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

head -c 4M /dev/urandom >image
"$CASDISK" init >/dev/null
"$CASDISK" import image a >/dev/null
pack=$(echo store/packs/*)
[ -f "$pack" ] || fail "not one pack: $pack"
middle=$(($(stat -c %s "$pack") / 2))
python3 - "$pack" $middle <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as pack:
    pack.seek(int(sys.argv[2]))
    byte = pack.read(1)[0]
    pack.seek(int(sys.argv[2]))
    pack.write(bytes([byte ^ 1]))
PYTHON
expect_exit 3 "$CASDISK" export a out 2>err
grep -Eq '[0-9a-f]{64}' err || fail "does not name the chunk: $(cat err)"
grep -q "$(basename "$pack" .pack)" err || fail "does not name the pack: $(cat err)"
[ -z "$(find . -name 'out*')" ] || fail "left behind: $(find . -name 'out*')"
expect_exit 3 "$CASDISK" export a - 2>err >part
[ "$(stat -c %s part)" -lt $((4 << 20)) ] || fail "the damaged image was written as a whole"

# An import of the same image does not trust the damaged copy, and heals it.
"$CASDISK" import image b >/dev/null
"$CASDISK" export b out >/dev/null
same_bytes image out
"$CASDISK" export a out --force >/dev/null
same_bytes image out

# A table that knows nothing of the chunks any more: damage (3), not the answer no (1).
rm -r store/locations
expect_exit 3 "$CASDISK" export a gone 2>err
expect_exit 3 "$CASDISK" resize a 1000001 --shrink 2>err
# A pack that is gone as a whole.
rm -r store
"$CASDISK" init >/dev/null
"$CASDISK" import image a >/dev/null
rm store/packs/*
expect_exit 3 "$CASDISK" export a gone 2>err
[ ! -e gone ]
# So is the catalog: a store that lost it is damaged, not one that nobody made.
rm -r store/meta
expect_exit 3 "$CASDISK" ls 2>err
grep -q "store/meta" err
