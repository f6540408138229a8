#!/usr/bin/env bash
# A terminal sees how far an import is, and a line that goes away; a log file, --quiet and --json do not.
. "$(dirname "$0")/functions.sh"
requires script --version
requires jq --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

head -c 24M /dev/urandom >image
"$CASDISK" init >/dev/null
# slow_import COMMAND: run on a terminal, with $uri a server that takes about two seconds; prints what
# was seen.
slow_import() {
  nbdkit -U - --foreground --filter=rate --filter=noextents file image rate=100M burstiness=0.2 \
    --run "export uri; script -qefc '$1' /dev/null </dev/null"
}
begin=$SECONDS
slow_import '"$CASDISK" import "$uri" a' >seen
tr '\r' '\n' <seen >lines
grep -Eq 'import a  \[#+\.+\] +[0-9]+%  [0-9.]+ [KM]iB of 24 MiB  [0-9.]+ [KM]iB/s  .* left' lines ||
  fail "no bar: $(cat -v seen)"
drawn=$(grep -c 'import a ' lines)
[ "$drawn" -le $(((SECONDS - begin + 1) * 10)) ] || fail "drawn $drawn times in $((SECONDS - begin)) s"
grep -q 'size 24 MiB, data 24 MiB, new in the store 24' lines || fail "no summary: $(cat -v seen)"
slow_import '"$CASDISK" import "$uri" b --quiet' >seen
if grep -q '%' seen; then fail "--quiet: $(cat -v seen)"; fi
slow_import '"$CASDISK" import "$uri" c --json' | jq -e '.disk == "c"' >/dev/null
nbdkit -U - --foreground --filter=rate file image rate=100M burstiness=0.2 --run '"$CASDISK" import "$uri" d' \
  >seen 2>&1
if grep -q '%' seen; then fail "not a terminal: $(cat -v seen)"; fi
