#!/usr/bin/env bash
# gc and prune at the terminal: what they say, in text and JSON, and their exit codes.
. "$(dirname "$0")/functions.sh"
requires jq --version
requires nbdcopy --version
requires qemu-io --version
export CASDISK_STORE=$tmp/store
"$CASDISK" init --codec none
packs_size() { du --apparent-size -sb "$CASDISK_STORE/packs" | cut -f1; }
random_image() { head -c "$1" /dev/urandom > "$2"; }

# TRIM in the guest ends as free space in the store.
"$CASDISK" create web --size 256M
start_nbdkit disk=web
random_image 200M "$tmp/random"
truncate --size 256M "$tmp/random"
nbdcopy --flush "$tmp/random" "$uri"
"$CASDISK" seal web --wait
before=$(packs_size)
[ "$before" -gt 200000000 ]
qemu-io -f raw "$uri" -c 'discard 0 200M' -c flush
"$CASDISK" seal web --wait
"$CASDISK" gc --dry-run --json | jq -e '.collectable_bytes > 200000000'
[ "$(packs_size)" -ge "$before" ]
"$CASDISK" gc
[ "$(packs_size)" -lt 1000000 ]
# Also as space of the file system: the server, which still has the pack open, does not keep it.
[ "$(du -s "$CASDISK_STORE/packs" | cut -f1)" -lt 1000 ]
stop_nbdkit

random_image 4M "$tmp/image"
"$CASDISK" import "$tmp/image" a
"$CASDISK" fork a@import b
"$CASDISK" gc --explain | grep -q 'a@import  *checkpoint'
"$CASDISK" gc --explain --json | jq -e '.pinned[] | select(.name == "b") | .alone_bytes == 0 and .shared_bytes > 4000000'
"$CASDISK" rm a
"$CASDISK" rm b
"$CASDISK" gc --json | jq -e '.freed_bytes > 4000000 and .deleted_pack_count >= 1'
"$CASDISK" gc | grep -q 'freed 0 B'

# One at a time; the second is told who the first is.
exec 9> "$CASDISK_STORE/sessions/gc"
flock 9
status=0; "$CASDISK" gc 2> "$tmp/error" || status=$?
[ "$status" = 4 ]
grep -q 'garbage collection is busy' "$tmp/error"
exec 9>&-
status=0; "$CASDISK" gc --min-garbage 101 || status=$?
[ "$status" = 2 ]

# A collection that waits for a session is interrupted at once, and says for whom it waits.
random_image 1M "$tmp/piece"
mkfifo "$tmp/stream"
"$CASDISK" import - slow < "$tmp/stream" &
importer=$!
exec 8> "$tmp/stream"
cat "$tmp/piece" >&8
for _ in $(seq 100); do [ -n "$(ls "$CASDISK_STORE"/sessions/0* 2>/dev/null)" ] && break; sleep 0.1; done
"$CASDISK" import "$tmp/image" c
"$CASDISK" rm c
"$CASDISK" gc 2> "$tmp/error" &
collector=$!
for _ in $(seq 100); do grep -q "waiting for what is being written: pid $importer" "$tmp/error" && break; sleep 0.1; done
grep -q "waiting for what is being written: pid $importer" "$tmp/error"
kill -INT $collector
status=0; wait $collector || status=$?
[ "$status" = 130 ]
exec 8>&-
wait $importer
"$CASDISK" gc | tee "$tmp/freed"
# c, and the pack that the importer was writing when the first collection condemned it.
grep -q 'freed 5' "$tmp/freed"
"$CASDISK" export slow@import "$tmp/out"
same_bytes "$tmp/piece" "$tmp/out"

# prune
"$CASDISK" create p --size 1M
for i in 1 2 3 4 5; do "$CASDISK" checkpoint p "c$i"; done
"$CASDISK" checkpoint p labelled --label keep=yes
"$CASDISK" checkpoint p last
status=0; "$CASDISK" prune p 2> "$tmp/error" || status=$?
[ "$status" = 2 ]
grep -q 'say what to keep' "$tmp/error"
"$CASDISK" prune p --keep-last 2 --keep-label keep=yes --dry-run | grep -q '5 of 7 would go'
[ "$("$CASDISK" info p --json | jq .checkpoints)" != 2 ]
"$CASDISK" prune p --keep-last 1 --keep-label keep=yes --json | jq -e '.removed_count == 5'
"$CASDISK" log p --json | jq -e '[.checkpoints[] | select(.state == "kept") | .name] == ["p@last", "p@labelled"]'
"$CASDISK" prune p --keep-daily 1 | grep -q 'p@last .*daily'
status=0; "$CASDISK" prune none --keep-last 1 || status=$?
[ "$status" = 1 ]
