#!/usr/bin/env bash
# scripts/checkpoint and scripts/restore: several disks are kept and brought back; what was frozen for a
# checkpoint is frozen while it is made and thawed afterwards, whatever becomes of the script.
. "$(dirname "$0")/functions.sh"

export CASDISK_STORE=$tmp/store
checkpoint=$SRCDIR/scripts/checkpoint
restore=$SRCDIR/scripts/restore
"$checkpoint" --help | grep -q -- --freeze
"$restore" --help | grep -q -- --no-keep
expect_exit 2 "$checkpoint" 2>/dev/null
expect_exit 2 "$restore" web 2>/dev/null

# --- Kept and brought back ---

"$CASDISK" init
make_image 4M "$tmp/first" 1
make_image 4M "$tmp/second" 2
"$CASDISK" import "$tmp/first" web
"$CASDISK" import "$tmp/first" db
become() { # become DISK FILE
  start_nbdkit store="$CASDISK_STORE" disk="$1"
  nbdcopy --destination-is-zero=no "$2" "$uri" 2>/dev/null || nbdcopy "$2" "$uri"
  stop_nbdkit
}
requires nbdcopy --version
[ "$("$checkpoint" web --name monday)" = web@monday ] || fail "not web@monday"
[[ $("$checkpoint" db --json) =~ ^\{\"checkpoints\":\[\"db@20[-0-9T.]*Z\"\],\"frozen_ms\":0\}$ ]] || fail "JSON"
expect_exit 1 "$checkpoint" nobody 2>/dev/null
expect_exit 1 "$checkpoint" web --name monday 2>/dev/null
become web "$tmp/second"

"$restore" web@monday --as '%-then'
"$CASDISK" export web-then "$tmp/out"
same_bytes "$tmp/first" "$tmp/out"
"$restore" web@monday --json >"$tmp/json"
"$CASDISK" export --force web "$tmp/out"
same_bytes "$tmp/first" "$tmp/out"
kept=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["restored"][0]["kept"])' <"$tmp/json")
"$restore" "$kept" --no-keep
"$CASDISK" export --force web "$tmp/out"
same_bytes "$tmp/second" "$tmp/out"

# All or none.
expect_exit 1 "$restore" web@monday db@never 2>/dev/null
"$CASDISK" export --force web "$tmp/out"
same_bytes "$tmp/second" "$tmp/out"
"$CASDISK" create db-new --size 1M
expect_exit 1 "$restore" web@monday db@import --as '%-new' 2>/dev/null
expect_exit 1 "$CASDISK" info web-new 2>/dev/null

# --- Frozen ---

# A casdisk that takes its time, so that one can look meanwhile.
real=$CASDISK
cat >"$tmp/slow" <<SCRIPT
#!/usr/bin/env bash
[ "\$2" != checkpoint ] || { : >"$tmp/at-work"; while [ ! -e "$tmp/go-on" ]; do sleep 0.05; done; }
exec "$real" "\$@"
SCRIPT
chmod +x "$tmp/slow"

# frozen_and_thawed OPTION WHERE IS-FROZEN IS-THAWED
frozen_and_thawed() {
  local option=$1 where=$2 is_frozen=$3 is_thawed=$4 pid
  rm -f "$tmp/at-work" "$tmp/go-on"
  CASDISK=$tmp/slow "$checkpoint" web "$option" "$where" --timeout 60 >"$tmp/said" &
  pid=$!
  wait_until 20 test -e "$tmp/at-work"
  "$is_frozen" || fail "$option: not frozen"
  : >"$tmp/go-on"
  wait "$pid"
  "$is_thawed" || fail "$option: still frozen"

  # Too late, and killed: the thaw comes by itself.
  rm -f "$tmp/at-work" "$tmp/go-on"
  CASDISK=$tmp/slow "$checkpoint" web --name "late-${option#--}" "$option" "$where" --timeout 4 2>"$tmp/said" &
  pid=$!
  wait_until 20 test -e "$tmp/at-work"
  wait_until 20 "$is_thawed"
  : >"$tmp/go-on"
  expect_exit 3 wait "$pid"
  grep -q "after the thaw" "$tmp/said" || fail "$(cat "$tmp/said")"
  rm -f "$tmp/at-work" "$tmp/go-on"
  CASDISK=$tmp/slow "$checkpoint" web "$option" "$where" --timeout 60 2>/dev/null &
  pid=$!
  wait_until 20 test -e "$tmp/at-work"
  kill -9 "$pid"
  : >"$tmp/go-on"
  wait_until 20 "$is_thawed"
}

# A virtual machine without a guest can be paused like any other.
if qemu-system-x86_64 --version >/dev/null 2>&1; then
  qemu-system-x86_64 -machine none -display none -nodefaults -qmp unix:"$tmp/qmp",server=on,wait=off </dev/null &
  qemu=$!
  cleanup_fn kill "$qemu"
  wait_until 20 test -S "$tmp/qmp"
  status_of_qemu() { "$SRCDIR/scripts/lib/qmp.py" "$tmp/qmp" query-status; }
  is_paused() { status_of_qemu | grep -q '"paused"'; }
  is_running() { status_of_qemu | grep -q '"running": true'; }
  wait_until 20 is_running
  frozen_and_thawed --pause "$tmp/qmp" is_paused is_running
else
  echo "without --pause: no qemu-system-x86_64"
fi

# A frozen file system lets a writer wait.
if [ "$(id -u)" -eq 0 ] && losetup --find >/dev/null 2>&1; then
  truncate -s 32M "$tmp/image"
  mkfs.ext4 -q "$tmp/image"
  mkdir "$tmp/mnt"
  unmount_image() { ! mountpoint -q "$tmp/mnt" || umount "$tmp/mnt"; }
  mount -o loop "$tmp/image" "$tmp/mnt"
  cleanup_fn unmount_image
  expect_exit 2 "$checkpoint" web --freeze "$tmp" 2>/dev/null # no mount
  writes=0
  is_waiting() {
    writes=$((writes + 1))
    touch "$tmp/mnt/$writes" &
    sleep 0.3
    [ ! -e "$tmp/mnt/$writes" ]
  }
  has_written() { [ -e "$tmp/mnt/$writes" ] && touch "$tmp/mnt/again"; }
  is_writable() { ! is_waiting || has_written; }
  frozen_and_thawed --freeze "$tmp/mnt" is_waiting is_writable
  unmount_image
else
  echo "without --freeze: needs root and a loop device"
fi

# --- While it is served ---

become web "$tmp/first"
start_serve web
"$checkpoint" web --name live --wait
nbdcopy "$tmp/second" "$uri"
"$restore" web@live --as web-live
"$restore" web@live --force
nbdcopy "$uri" "$tmp/out"
same_bytes "$tmp/first" "$tmp/out"
stop_nbdkit "$serve_pid"
"$CASDISK" export --force web-live "$tmp/out"
same_bytes "$tmp/first" "$tmp/out"

# Attached to this machine and mounted: a frozen file system has no journal to replay.
if [ "$(id -u)" -eq 0 ] && [ -w /dev/fuse ] && losetup --find >/dev/null 2>&1; then
  export CASDISK_RUN=$tmp/run
  cleanup_fn "$SRCDIR/scripts/detach" --all --unmount --force
  "$CASDISK" import "$tmp/image" fs
  mkdir "$tmp/attached"
  "$SRCDIR/scripts/attach" fs --mount "$tmp/attached" --via nbdfuse >/dev/null
  cp "$tmp/first" "$tmp/attached/file"
  "$checkpoint" fs --name frozen --freeze "$tmp/attached"
  cp "$tmp/second" "$tmp/attached/file"
  "$SRCDIR/scripts/detach" fs
  "$CASDISK" export fs@frozen "$tmp/frozen"
  e2fsck -fn "$tmp/frozen" >"$tmp/said" 2>&1 || fail "$(cat "$tmp/said")"
  ! dumpe2fs -h "$tmp/frozen" 2>/dev/null | grep -q needs_recovery || fail "it was not frozen"
  debugfs -R "dump /file $tmp/out" "$tmp/frozen" 2>/dev/null
  same_bytes "$tmp/first" "$tmp/out"
fi
