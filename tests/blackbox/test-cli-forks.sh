#!/usr/bin/env bash
# The same image twice is stored once; ten forks of a 2 GB image take kilobytes.
. "$(dirname "$0")/functions.sh"
requires jq --version
export CASDISK_STORE=$tmp/store
cd "$tmp"

used() { du -s --block-size=1 store | cut -f1; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# 2 GB of which 96 MiB are data, far apart: what counts here is how much of it there is to point to.
python3 - <<'PYTHON'
import random
rng = random.Random(17)
with open("image", "wb") as image:
    image.truncate(2 << 30)
    for i in range(1536):
        image.seek(rng.randrange(0, (2 << 30) - 65536, 65536))
        image.write(rng.randbytes(65536))
PYTHON
"$CASDISK" init >/dev/null
begin=$(now_ms)
"$CASDISK" import image base >import.out
echo "import: $(($(now_ms) - begin)) ms; $(tail -n 1 import.out)"
first=$(used)

begin=$(now_ms)
"$CASDISK" import image again --json >again.json
second=$(used)
echo "the same again: $(($(now_ms) - begin)) ms, $((second - first)) bytes"
jq -e '.new_object_count <= 1' again.json >/dev/null || fail "stored anew: $(cat again.json)"
[ $((second - first)) -lt $((256 << 10)) ] || fail "importing it twice took $((second - first)) bytes"

begin=$(now_ms)
for i in 1 2 3 4 5 6 7 8 9 10; do "$CASDISK" fork base "fork-$i" >/dev/null; done
third=$(used)
echo "ten forks: $(($(now_ms) - begin)) ms with ten processes, $((third - second)) bytes"
[ $((third - second)) -lt $((256 << 10)) ] || fail "ten forks took $((third - second)) bytes"
"$CASDISK" diff base fork-10 >/dev/null
