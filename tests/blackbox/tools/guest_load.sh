#!/bin/sh
# The init of a virtual machine in test-boot-guest.sh. It is told on the kernel's command line:
#
#   casdisk.load        writes files for ever, some synced, some not, and runs the guest agent. "synced N" on
#                       the console: the files 1 to N are on the disk
#   casdisk.verify=N    "verified N" when the files 1 to N are what they were, and powers off in order
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc 2>/dev/null
mount -o remount,rw / 2>/dev/null

content() { seq "$1" $(($1 + 20000)); }

load() {
  mkdir -p /data
  for port in /dev/vport*p1; do
    if [ -c "$port" ]; then qemu-ga --path="$port" --daemonize --pidfile=/run/qemu-ga.pid; fi
  done
  # Never synced: overwritten in place, appended to, renamed, removed.
  (
    round=0
    while :; do
      round=$((round + 1))
      dd if=/dev/urandom of=/data/churn bs=64k count=32 seek=$((round % 7 * 32)) conv=notrunc 2>/dev/null
      content "$round" >/data/unsynced.$((round % 20))
      mv /data/unsynced.$((round % 20)) /data/renamed.$((round % 10))
      rm -f /data/renamed.$((round * 3 % 10))
    done
  ) &
  number=0
  while :; do
    number=$((number + 1))
    content "$number" >"/data/$number"
    sync "/data/$number" && echo "synced $number"
  done
}

verify() {
  number=0
  while [ "$number" -lt "$1" ]; do
    number=$((number + 1))
    content "$number" | cmp - "/data/$number" || { echo "damaged $number"; break; }
  done
  echo "verified $number"
  mount -o remount,ro / && echo "unmounted in order"
  poweroff -f -f
}

for word in $(cat /proc/cmdline); do
  case $word in
    casdisk.load) load ;;
    casdisk.verify=*) verify "${word#*=}" ;;
  esac
done
