#!/usr/bin/env bash
# fio's NBD engine writes at random with flushes and trims, and finds every block as it wrote it; another
# server, started after kill -9, has them all too.
. "$(dirname "$0")/functions.sh"
requires fio --enghelp=nbd

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 256M
start_nbdkit store="$tmp/store" disk=web

# fio parses colons in a job file's URI as separators; on the command line it does not.
cd "$tmp" # it writes its verify state here
verify() {
  fio --name=verify --ioengine=nbd --uri="$uri" --iodepth=32 --size=256M --verify=crc32c \
    --verify_fatal=1 --randseed=7 --output="$tmp/fio.log" "$@" || { cat "$tmp/fio.log"; fail "fio $*"; }
}
# Sizes that are whole chunks, whole blocks and torn blocks.
verify --rw=randwrite --bsrange=512-128k --bs_unaligned=0 --io_size=128M --fsync=64 --norandommap=0
verify --rw=randwrite --bs=4k --io_size=64M --fsync=100 --number_ios=8000
verify --rw=write --bs=64k --do_verify=0
kill_nbdkit
start_nbdkit store="$tmp/store" disk=web
verify --rw=write --bs=64k --verify_only
