# shellcheck shell=bash
# Attachments: disks that are block devices of this machine. Sourced after common.sh.
#
# Each has a directory under $CASDISK_RUN/attached (default /run/casdisk/attached), where attach writes
# down what it takes before it goes on, so that detach can give it back whatever happened in between:
#
#   source, store, uri      what was asked for
#   via                     nbdfuse, qemu-nbd or nbd-client
#   server, nbdfuse, holder the processes (see remember_process)
#   slot                    nbdN, while it is being connected or is
#   device                  /dev/loopN or /dev/nbdN; written last
#   mount                   where attach mounted it
#   flushed                 the status of the flush before the end
#
# The holder keeps the device open from the first moment to the last: an error of writing back is told
# to those who had the device open when it happened, and the holder's flush is then the one that fails.

attachments=${CASDISK_RUN:-/run/casdisk}/attached

requires_root() { [ "$(id -u)" -eq 0 ] || die 2 "block devices are root's"; }

# of DIR FILE: what is written there, or nothing.
of() { if [ -s "$1/$2" ]; then cat "$1/$2"; fi; }

# --- Who uses it ----------------------------------------------------------------------------

# nodes DEVICE: its name and those of its partitions.
nodes() {
  local name=${1#/dev/} node
  echo "$name"
  for node in "/sys/block/$name/$name"p*; do
    if [ -e "$node" ]; then echo "${node##*/}"; fi
  done
}

# own_processes DIR: those of the attachment itself that have its device open.
own_processes() {
  local file slot thread
  for file in holder client; do of "$1" "$file" | cut -d ' ' -f 1; done
  slot=$(of "$1" slot)
  if [ -n "$slot" ] && read -r thread <"/sys/block/$slot/pid"; then
    awk '$1 == "Tgid:" { print $2 }' "/proc/$thread/status" 2>/dev/null
  fi
}

# users_of DEVICE PIDS: what keeps it busy, one a line: mounts of any namespace, swap, devices on top of
# it, processes that have it open other than PIDS.
users_of() {
  local device=$1 except=" ${2//$'\n'/ } " name sys entry pid
  while read -r name; do
    sys=/sys/class/block/$name
    [ -e "$sys" ] || continue
    # A mount of btrfs has a device number of its own, but the name of the device.
    cat /proc/[0-9]*/mountinfo 2>/dev/null | awk -v number="$(cat "$sys/dev")" -v path="/dev/$name" '
      { source = $0; sub(/.* - [^ ]+ /, "", source); sub(/ .*/, "", source) }
      ($3 == number || source == path) && !seen[$5]++ { print "mounted on " $5 }'
    awk -v path="/dev/$name" '$1 == path { print "swap" }' /proc/swaps
    for entry in "$sys"/holders/*; do
      if [ -e "$entry" ]; then echo "below /dev/${entry##*/}"; fi
    done
    for entry in /sys/block/loop*/loop/backing_file; do
      if [ "$(cat "$entry" 2>/dev/null)" = "/dev/$name" ]; then echo "below /dev/$(cut -d / -f 4 <<<"$entry")"; fi
    done
    while read -r entry; do
      pid=${entry#/proc/}
      pid=${pid%%/*}
      if [[ $except != *" $pid "* ]]; then echo "opened by process $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"; fi
    done < <(find /proc/[0-9]*/fd -lname "/dev/$name" 2>/dev/null)
  done < <(nodes "$device")
}

# --- The holder -----------------------------------------------------------------------------

# hold_device DIR DEVICE: starts it, and returns when it has the device open.
hold_device() {
  local dir=$1 device=$2
  mkfifo "$dir/ask"
  (
    trap - EXIT
    trap '' INT HUP
    exec 9<"$device" # to sync what others wrote, reading rights suffice
    : >"$dir/held"
    read -r _ <>"$dir/ask"
    status=0
    # dd syncs what it has as stdout: this very file, opened when the device was attached.
    dd if=/dev/null conv=fsync,notrunc status=none >&9 || status=$?
    echo "$status" >"$dir/flushed.new"
    mv "$dir/flushed.new" "$dir/flushed"
  ) </dev/null >"$dir/holder.log" 2>&1 &
  remember_process $! "$dir/holder"
  wait_for 10 test -e "$dir/held" || { cat "$dir/holder.log" >&2; return 3; }
}

# flush_device DIR DEVICE SECONDS: everything written to it is on the disk, or it fails. A failure stays
# one: a second flush would succeed without the bytes that the first lost.
flush_device() {
  local dir=$1
  if [ ! -e "$dir/flushed" ] && is_running "$dir/holder"; then
    echo >"$dir/ask"
    wait_for "$3" test -e "$dir/flushed" || { note "$2: no flush within $3 s"; return 3; }
  elif [ "$(of "$dir" flushed)" = 0 ]; then
    timeout "$3" dd if=/dev/null of="$2" conv=fsync,notrunc status=none || echo 1 >"$dir/flushed"
  elif [ ! -e "$dir/flushed" ]; then
    note "$2: its holder is gone; errors of writing may have gone unseen"
    return 3
  fi
  [ "$(of "$dir" flushed)" = 0 ] || { note "$2: writes were lost: $(of "$dir" holder.log)"; return 3; }
}

# --- Giving back ----------------------------------------------------------------------------

is_loop_free() { # is_loop_free DEVICE FILE
  [ "$(cat "/sys/block/${1#/dev/}/loop/backing_file" 2>/dev/null)" != "$2" ]
}
is_slot_quiet() { # is_slot_quiet nbdN
  [ ! -e "/sys/block/$1/pid" ] && [ "$(cat "/sys/block/$1/size" 2>/dev/null || echo 0)" = 0 ]
}
# unmount_fuse DIR: succeeds once it is no mount. Of a dead nbdfuse, mountpoint(1) and test(1) cannot tell.
unmount_fuse() {
  fusermount3 -u "$1" 2>/dev/null || umount "$1" 2>/dev/null || true
  ! awk -v path="$1" '$5 == path { found = 1 } END { exit !found }' /proc/self/mountinfo
}

release_loop() { # release_loop DIR
  local file=$1/fuse/disk sys device
  # By the name of the file: the file itself answers nothing any more when its server is gone.
  for sys in /sys/block/loop*; do
    device=/dev/${sys##*/}
    is_loop_free "$device" "$file" && continue
    losetup --detach "$device" || true
    wait_for 20 is_loop_free "$device" "$file" || { note "$device: somebody still has it open"; return 4; }
  done
  wait_for 20 unmount_fuse "$1/fuse" || { note "$1/fuse: cannot be unmounted"; return 3; }
  end_process "$1/nbdfuse" 20 || { note "nbdfuse does not end"; return 3; }
}

release_slot() { # release_slot DIR
  local slot
  slot=$(of "$1" slot)
  [ -n "$slot" ] || return 0
  if ! is_slot_quiet "$slot"; then
    if [ "$(of "$1" via)" = qemu-nbd ]; then
      qemu-nbd --disconnect "/dev/$slot" >/dev/null || true
    else
      nbd-client -d "/dev/$slot" >/dev/null || true
    fi
  fi
  # Until the kernel has let go of the last request, the number must not be given to another disk.
  wait_for 20 is_slot_quiet "$slot" || { note "/dev/$slot: does not come to rest"; return 3; }
  if has udevadm; then udevadm settle --timeout=5 2>/dev/null || true; fi
  if [ -s "$1/client" ]; then end_process "$1/client" 20; fi
}

# release DIR: gives back all that the attachment has, in the reverse order. What fails stays written
# down, so that it can be tried again.
release() {
  local dir=$1
  [ -d "$dir" ] || return 0
  if [ -s "$dir/holder" ]; then end_process "$dir/holder" 5 || return 3; fi
  release_loop "$dir" || return
  release_slot "$dir" || return
  end_process "$dir/server" 30 || return 3
  rm -rf --one-file-system -- "$dir"
}
