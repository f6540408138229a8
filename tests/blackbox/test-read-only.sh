#!/usr/bin/env bash
# nbdkit -r, serve --read-only and checkpoints can be read and not be written.
. "$(dirname "$0")/functions.sh"
requires nbdinfo --version
requires qemu-io --version

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create web --size 1M

start_nbdkit store="$tmp/store" disk=web
qemu-io -f raw -c 'write -P 0x5a 4096 100' "$uri"
stop_nbdkit
"$CASDISK" checkpoint web monday

read_only() { # read_only URI: the bytes are there, and stay
  nbdinfo --is readonly "$1" || fail "$1 is not read-only"
  qemu-io -r -f raw -c 'read -P 0x5a 4096 100' "$1" | grep -q "100/100 bytes" || fail "$1: read"
  qemu-io -f raw -c 'write -P 1 0 100' "$1" >"$tmp/out" 2>&1 && fail "wrote to $1"
  python3 - "$1" <<'PYTHON'
import errno, nbd, sys
h = nbd.NBD()
h.set_strict_mode(0)  # send them in spite of the flags
h.connect_uri(sys.argv[1])
for change in (lambda: h.pwrite(b"x" * 100, 0), lambda: h.zero(4096, 4096), lambda: h.trim(4096, 4096)):
    try:
        change()
    except nbd.Error as error:
        assert error.errnum in (errno.EPERM, errno.EROFS), error
    else:
        sys.exit("FAIL: a change of a read-only export succeeded")
assert h.pread(100, 4096) == b"\x5a" * 100
PYTHON
}

start_nbdkit --readonly store="$tmp/store" disk=web
read_only "$uri"
stop_nbdkit
start_nbdkit store="$tmp/store" disk=web@monday
read_only "$uri"
stop_nbdkit
start_serve web --read-only --socket "$tmp/s"
read_only "$uri"
stop_nbdkit "$serve_pid"
start_serve web@monday
read_only "$uri"
