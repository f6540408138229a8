#!/usr/bin/env bash
# A Debian guest boots from a disk, as a microVM and as an ordinary one, and writes all the time. It is
# checkpointed meanwhile: once just so, once frozen by its agent. Forks of both have clean file systems, boot,
# and hold every file that the guest had synced.
. "$(dirname "$0")/functions.sh"
requires_root
requires qemu-system-x86_64 --version
requires debootstrap --version
requires e2fsck -V

export CASDISK_STORE=$tmp/store
TESTS_BUILD=${TESTS_BUILD:-$SRCDIR/build/dev/tests}
init=$SRCDIR/tests/blackbox/tools/guest_load.sh

# --- The guest, made once and kept with the build ---

guest=$TESTS_BUILD/guest-$(cat "$SRCDIR/scripts/guest-image" "$init" | sha256sum | cut -c 1-12)
mkdir -p "$TESTS_BUILD"
(
  flock 9
  if [ ! -d "$guest" ]; then
    rm -rf "$TESTS_BUILD"/guest-*/
    "$SRCDIR/scripts/guest-image" "$guest" --copy "$init:/sbin/guest-load" >"$tmp/made" 2>&1 || touch "$tmp/not-made"
  fi
) 9>"$TESTS_BUILD/guest.lock"
if [ -e "$tmp/not-made" ]; then
  cat "$tmp/made"
  ! grep -qE "Failed getting release|Couldn't download|Failed to fetch|Could not resolve|mknod|permitted" "$tmp/made" ||
    skip "cannot make a Debian guest: $(tail -n 1 "$tmp/made")"
  fail "scripts/guest-image"
fi

"$CASDISK" init
"$CASDISK" import "$guest/root.raw" debian
"$CASDISK" fork debian vm

# --- A guest at work ---

console=$tmp/console
: >"$console"
synced() { tr -d '\r' <"$console" | sed -n 's/^synced \([0-9]*\)$/\1/p' | tail -n 1; }
has_synced() { [ "$(synced || true)" -ge "$1" ] 2>/dev/null; }

begin=$SECONDS
"$SRCDIR/scripts/boot-guest" vm --from "$guest" --machine microvm --console "$console" \
  --append "quiet init=/sbin/guest-load casdisk.load" --qmp "$tmp/qmp" --agent "$tmp/agent" &
guest_pid=$!
stop() { kill "$1" 2>/dev/null && wait "$1" || true; }
cleanup_fn stop "$guest_pid"
show_console() { [ ! -e "$console" ] || tail -n 30 "$console"; }
cleanup_fn show_console
wait_until 180 has_synced 20
echo "the guest works after $((SECONDS - begin)) s"

declare -A expected
expected[running]=$(synced)
"$SRCDIR/scripts/checkpoint" vm --name running --json
has_synced $((${expected[running]} + 5)) || wait_until 60 has_synced $((${expected[running]} + 5))
expected[frozen]=$(synced)
"$SRCDIR/scripts/checkpoint" vm --name frozen --agent "$tmp/agent" --timeout 60 --json
expected[after]=$(synced)
wait_until 60 has_synced $((${expected[after]} + 20)) # it goes on
stop "$guest_pid"

# --- What it left ---

fsck() { # fsck NAME HOW...
  "$CASDISK" export "$1" "$tmp/image" --force
  shift
  "$@" "$tmp/image" >"$tmp/fsck" 2>&1 || [ $? -le "${most:-0}" ] || fail "$*: $(cat "$tmp/fsck")"
}
# As after a power cut: the journal makes it whole, and nothing else has to.
most=1 fsck vm@running e2fsck -fp
! grep -vE 'recovering journal|^/.* files .* blocks$|Clearing orphaned inode|^$' "$tmp/fsck" || fail "repairs: $(cat "$tmp/fsck")"
e2fsck -fn "$tmp/image" >"$tmp/fsck" 2>&1 || fail "$(cat "$tmp/fsck")"
# Frozen: as if it had been unmounted.
fsck vm@frozen e2fsck -fn
! dumpe2fs -h "$tmp/image" 2>/dev/null | grep -q needs_recovery || fail "not frozen"

# --- Forks boot ---

boot_fork() { # boot_fork NAME MACHINE
  local name=$1 machine=$2 disk=vm-$1 begin=$SECONDS
  "$SRCDIR/scripts/restore" "vm@$name" --as "$disk"
  console=$tmp/console-$name
  timeout 180 "$SRCDIR/scripts/boot-guest" "$disk" --from "$guest" --machine "$machine" --console "$console" \
    --append "quiet init=/sbin/guest-load casdisk.verify=${expected[$name]}" || fail "$disk: did not end"
  grep -q "verified ${expected[$name]}"$'\r*$' "$console" || fail "$disk: not all ${expected[$name]} files"
  grep -q "unmounted in order" "$console" || fail "$disk: no orderly end"
  fsck "$disk" e2fsck -fn
  echo "$name on $machine: ${expected[$name]} files, clean, $((SECONDS - begin)) s"
}
boot_fork running q35
boot_fork frozen microvm
cleanups=("${cleanups[@]:0:${#cleanups[@]}-1}") # the console is of interest only after a failure
