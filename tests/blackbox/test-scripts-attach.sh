#!/usr/bin/env bash
# scripts/attach and scripts/detach: a disk is a block device and then it is none. Detach refuses while
# anything uses the device, tells of writes that were lost, and leaves no device, process or file behind.
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/functions-attach.sh"
requires_attach
requires mkfs.ext4 -V

export CASDISK_STORE=$tmp/store CASDISK_RUN=$tmp/run
attach=$SRCDIR/scripts/attach
detach=$SRCDIR/scripts/detach
# Whatever is still attached when this fails.
cleanup_fn "$detach" --all --unmount --force

nothing_left() {
  [ -z "$(ls "$tmp/run/attached")" ] || fail "attachments are left: $(ls "$tmp/run/attached"/*)"
  ! losetup --list --noheadings --output BACK-FILE | grep -F "$tmp/" || fail "a loop device is left"
  ! grep -F "$tmp/run" /proc/self/mountinfo || fail "a mount is left"
  local state
  for disk in "$@"; do
    state=$("$CASDISK" info "$disk" --json | grep -o '"state":"[a-z]*"')
    [ "$state" = '"state":"idle"' ] || fail "$disk: $state"
  done
}

"$attach" --help | grep -q scripts/attach
"$detach" --help | grep -q -- --unmount
expect_exit 2 "$attach" --nonsense
expect_exit 2 "$detach"
"$CASDISK" init
"$CASDISK" create disk --size 64M

# --- A life ---

device=$("$attach" disk --via nbdfuse)
[ -b "$device" ] || fail "not a block device: $device"
[ "$("$attach" --list | cut -d ' ' -f 1,2)" = "$device disk" ] || fail "$("$attach" --list)"
expect_exit 4 "$attach" disk 2>"$tmp/said" # whoever has it is named
grep -q "held by" "$tmp/said"
mkfs.ext4 -q "$device"
mkdir -p "$tmp/mnt"
mount "$device" "$tmp/mnt"
cleanup_fn unmount_device
head -c 10M /dev/urandom >"$tmp/random"
cp "$tmp/random" "$tmp/mnt/file"

# --- Somebody uses it ---

expect_exit 4 "$detach" disk 2>"$tmp/said"
grep -q "mounted on $tmp/mnt" "$tmp/said" || fail "$(cat "$tmp/said")"
same_bytes "$tmp/random" "$tmp/mnt/file" # nothing has changed
umount "$tmp/mnt"
exec {opened}<"$device"
expect_exit 4 "$detach" "$device" 2>"$tmp/said"
grep -q "opened by process $$ " "$tmp/said" || fail "$(cat "$tmp/said")"
exec {opened}<&-
"$detach" "$device"
nothing_left disk
expect_exit 1 "$detach" disk

# --- Mounted by the script, of a checkpoint, of a URI ---

"$attach" disk --mount "$tmp/mnt" --json >"$tmp/json"
python3 -c 'import json, sys; a = json.load(sys.stdin); assert a["via"] and a["mount"], a' <"$tmp/json"
same_bytes "$tmp/random" "$tmp/mnt/file"
echo more >"$tmp/mnt/more"
"$detach" "$tmp/mnt" # flushes
nothing_left disk
"$CASDISK" checkpoint disk kept
device=$("$attach" disk@kept --mount "$tmp/mnt")
[ "$(cat "$tmp/mnt/more")" = more ] || fail "the checkpoint lacks what was written last"
expect_exit 1 touch "$tmp/mnt/file" 2>/dev/null
[ "$(blockdev --getro "$device")" = 1 ] || fail "a checkpoint can be written"
"$detach" --unmount disk@kept
start_serve disk
"$attach" "$uri" >/dev/null
"$detach" "$uri"
stop_nbdkit "$serve_pid"
nothing_left disk

# --- Many at once get devices of their own ---

for i in 1 2 3 4; do
  "$CASDISK" fork disk "fork$i"
  "$attach" "fork$i" >"$tmp/device$i" &
  attaching[i]=$!
done
for i in 1 2 3 4; do wait "${attaching[i]}"; done
[ "$(cat "$tmp"/device? | sort -u | wc -l)" -eq 4 ] || fail "a device was given twice"
"$detach" --all
nothing_left fork1 fork2 fork3 fork4

# --- The kernel's own client, where there is one ---

for via in qemu-nbd nbd-client; do
  if [ ! -e /sys/block/nbd0 ] || ! type -P "$via" >/dev/null; then
    echo "without $via: the kernel has no nbd, or it is not installed"
    continue
  fi
  device=$("$attach" disk --via "$via" --mount "$tmp/mnt")
  [[ $device == /dev/nbd* ]] || fail "$via: $device"
  same_bytes "$tmp/random" "$tmp/mnt/file"
  echo "$via" >"$tmp/mnt/more"
  "$detach" disk
  nothing_left disk
  [ "$(cat "/sys/block/${device#/dev/}/size")" = 0 ] || fail "$via: $device is still connected"
  "$attach" disk --via "$via" --mount "$tmp/mnt" --read-only >/dev/null
  [ "$(cat "$tmp/mnt/more")" = "$via" ] || fail "$via: what was written is not there"
  "$detach" "$tmp/mnt"
done

# --- Failures ---

expect_exit 1 "$attach" nobody 2>/dev/null
expect_exit 3 "$attach" "nbd+unix:///disk?socket=$tmp/nobody" 2>/dev/null
"$attach" disk >/dev/null &
interrupted=$!
wait_until 10 compgen -G "$CASDISK_RUN/attached/*/server" >"$tmp/said"
kill "$interrupted"
expect_exit 130 wait "$interrupted"
nothing_left disk

# Writes that cannot reach the disk any more are told, again and again, until --force.
device=$("$attach" disk --via nbdfuse)
dd if=/dev/urandom of="$device" bs=1M count=4 status=none
kill -9 "$(cut -d ' ' -f 1 "$CASDISK_RUN"/attached/*/nbdfuse)"
expect_exit 3 "$detach" disk 2>"$tmp/said"
grep -q "writes were lost" "$tmp/said" || fail "$(cat "$tmp/said")"
expect_exit 3 "$detach" disk 2>/dev/null
"$detach" --force disk 2>/dev/null
nothing_left disk
