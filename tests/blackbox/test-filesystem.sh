#!/usr/bin/env bash
# A file system lives on a disk, through nbdfuse and a loop device: made, filled, unmounted, found clean.
# A fork of its checkpoint is changed like any other; the parent stays what it was, byte for byte.
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/functions-attach.sh"
requires_attach
requires mkfs.ext4 -V

export CASDISK_STORE=$tmp/store
# --- Files ---

tree_sum() { # of names, modes and contents
  (cd "$1" && {
    find . -not -path './lost+found*' -printf '%p %m %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum
  }) | sha256sum
}

# Some thousand small files of the machine, up to about 60 MB of them, and two large ones.
make_tree() {
  mkdir "$tmp/tree"
  for folder in doc perl; do
    (cd /usr/share && find "$folder" -type f -size -200k 2>/dev/null | sort | sed -n 1,4000p) >"$tmp/names"
    tar -C /usr/share -cf - --files-from "$tmp/names" | tar -C "$tmp/tree" -xf -
  done
  make_image 48M "$tmp/tree/image" 7
  head -c 40M /dev/urandom >"$tmp/tree/random"
  ln -s image "$tmp/tree/link"
  find "$tmp/tree" -name '*5*' -type f -exec chmod 600 {} +
}

# --- The life of a disk ---

life() { # life KIND SIZE FSCK... : FSCK checks a device and changes nothing
  local kind=$1 size=$2 disk=$1 sum
  shift 2
  "$CASDISK" create "$disk" --size "$size"
  attach "$disk"
  "mkfs.$kind" -q "$device"
  mount_device
  cp -a "$tmp/tree" "$tmp/mnt/"
  sum=$(tree_sum "$tmp/tree")
  unmount_device
  "$@" "$device" >"$tmp/fsck" 2>&1 || fail "$kind: $(cat "$tmp/fsck")"
  detach
  "$CASDISK" checkpoint "$disk" filled
  "$CASDISK" fork "$disk@filled" "$disk-fork"
  "$CASDISK" export "$disk" "$tmp/before"

  attach "$disk-fork"
  mount_device
  [ "$(tree_sum "$tmp/mnt/tree")" = "$sum" ] || fail "$kind: the fork has other files"
  rm -rf "$tmp/mnt/tree/doc" # and what is written now may take its place
  cp "$tmp/tree/random" "$tmp/mnt/tree/another"
  dd if=/dev/urandom of="$tmp/mnt/tree/image" bs=64k count=100 seek=50 conv=notrunc status=none
  fstrim "$tmp/mnt" || fail "$kind: no trim"
  sum=$(tree_sum "$tmp/mnt/tree")
  unmount_device
  "$@" "$device" >"$tmp/fsck" 2>&1 || fail "$kind fork: $(cat "$tmp/fsck")"
  mount_device
  [ "$(tree_sum "$tmp/mnt/tree")" = "$sum" ] || fail "$kind: the fork lost what was written to it"
  unmount_device
  detach

  # The parent: as a whole, and as its files.
  "$CASDISK" export "$disk" "$tmp/after"
  same_bytes "$tmp/before" "$tmp/after"
  expect_exit 0 "$CASDISK" diff "$disk" "$disk@filled" >/dev/null
  expect_exit 1 "$CASDISK" diff "$disk" "$disk-fork" >/dev/null
  rm "$tmp/before" "$tmp/after"
  attach "$disk"
  mount_device
  [ "$(tree_sum "$tmp/mnt/tree")" = "$(tree_sum "$tmp/tree")" ] || fail "$kind: the parent's files"
  unmount_device
  detach
}

# mkfs.ext4 trims a terabyte first: that is quick, and what it writes takes little of the store.
terabyte() {
  local begin=$SECONDS kilobytes
  "$CASDISK" create terabyte --size 1T
  attach terabyte
  mkfs.ext4 -q -E discard,lazy_itable_init=1,lazy_journal_init=1 "$device"
  e2fsck -fn "$device" >"$tmp/fsck" 2>&1 || fail "terabyte: $(cat "$tmp/fsck")"
  detach
  "$CASDISK" checkpoint terabyte made
  kilobytes=$(du -sk "$CASDISK_STORE" | cut -f 1)
  echo "a terabyte: mkfs, fsck and checkpoint in $((SECONDS - begin)) s, the store has $kilobytes KiB"
  [ "$kilobytes" -lt $((before_kilobytes + 65536)) ] || fail "an empty file system takes too much"
  [ $((SECONDS - begin)) -lt 60 ] || fail "mkfs of a terabyte is slow"
}

"$CASDISK" init
before_kilobytes=$(du -sk "$CASDISK_STORE" | cut -f 1)
terabyte
make_tree
du -sh "$tmp/tree" | cut -f 1
life ext4 300M e2fsck -fn
if mkfs.xfs -V >/dev/null 2>&1; then life xfs 320M xfs_repair -n; else echo "without xfs: no mkfs.xfs"; fi
