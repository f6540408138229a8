#!/usr/bin/env bash
# Full /tmp and /dev/shm, a home that does not exist, an environment that is empty: commands and servers do not
# care. Only qcow2 and the like, which libnbd reads over a socket in /tmp, say that they need it.
. "$(dirname "$0")/functions.sh"
requires_root
requires qemu-img --version
requires unshare --mount true
export CASDISK_STORE=$tmp/store
mkdir "$tmp/bin" # the build may lie in /tmp
cp "$CASDISK" "$CASDISK_PLUGIN" "$tmp/bin"
cp -r "${CASDISK%/*}"/../lib* "$tmp"
export CASDISK=$tmp/bin/${CASDISK##*/} CASDISK_PLUGIN=$tmp/bin/${CASDISK_PLUGIN##*/}
make_image 8M "$tmp/image.raw"
qemu-img convert -O qcow2 "$tmp/image.raw" "$tmp/image.qcow2"
cat >"$tmp/full" <<'SCRIPT'
set -eu
for folder in /tmp /dev/shm; do
  mount -t tmpfs -o size=4k,nr_inodes=2 none "$folder"
  ! cat /dev/zero 2>/dev/null >"$folder/filler"
done
! touch /tmp/one-more 2>/dev/null
cd /
run="env -i PATH=$PATH CASDISK_STORE=$CASDISK_STORE CASDISK_PLUGIN=$CASDISK_PLUGIN HOME=/nonexistent $CASDISK"
$run init
status=0
$run import "$1/image.qcow2" web --quiet 2>"$1/said" || status=$?
test "$status" -eq 3
grep -F "$1/image.qcow2" "$1/said" | grep -q "make room"
$run import "$1/image.raw" web --quiet
$run checkpoint web c
timeout --preserve-status 20 $run serve web --socket "$1/web.sock" >"$1/uri" &
for ((i = 0; i < 200; i++)); do [ ! -s "$1/uri" ] || break; sleep 0.05; done
nbdcopy "$(<"$1/uri")" "$1/out.raw"
kill %1
wait %1
SCRIPT
unshare --mount bash "$tmp/full" "$tmp"
same_bytes "$tmp/image.raw" "$tmp/out.raw"
