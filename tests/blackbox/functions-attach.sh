# shellcheck shell=bash
# Disks as block devices of this machine: server, nbdfuse, loop device. Sourced after functions.sh.

requires_attach() {
  requires_loop
  requires_fuse
  requires nbdfuse --version
}

# attach DISK: serves the disk of $CASDISK_STORE and makes it a block device. Sets device, and what
# start_nbdkit sets.
attach() {
  start_nbdkit store="$CASDISK_STORE" disk="$1"
  fuse=$tmp/fuse-$servers_started
  mkdir "$fuse"
  # A session of its own: a signal to the test must not end it before it is unmounted.
  setsid nbdfuse "$fuse/disk" "$uri" </dev/null >"$fuse.log" 2>&1 &
  fuse_pid=$!
  cleanup_fn stop_nbdfuse "$fuse" "$fuse_pid"
  wait_until 20 test -e "$fuse/disk"
  device=$(losetup --find --show "$fuse/disk")
  cleanup_fn detach_loop "$device" "$fuse/disk"
}

# detach: afterwards the server has let go of the disk. Nothing of it is mounted.
detach() {
  detach_loop "$device" "$fuse/disk"
  stop_nbdfuse "$fuse" "$fuse_pid"
  stop_nbdkit
}

# Only while the device is still that file's.
detach_loop() {
  [ "$(losetup --noheadings --output BACK-FILE "$1" 2>/dev/null)" != "$2" ] || losetup --detach "$1"
}

stop_nbdfuse() { # stop_nbdfuse MOUNTPOINT PID
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    mountpoint -q "$1" || break
    fusermount3 -u "$1" 2>/dev/null && break
    sleep 0.1 # the loop device lets go of the file in its own time
  done
  wait "$2" 2>/dev/null || true
}

# mount_device: mounts $device at $tmp/mnt.
mount_device() {
  mkdir -p "$tmp/mnt"
  mount "$device" "$tmp/mnt"
  cleanup_fn unmount_device
}

unmount_device() {
  ! mountpoint -q "$tmp/mnt" || umount "$tmp/mnt"
}
