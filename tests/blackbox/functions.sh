# shellcheck shell=bash
# What the black-box tests share. A test sources this first:
#
#   #!/usr/bin/env bash
#   # What it shows, in a sentence or two.
#   . "$(dirname "$0")/functions.sh"
#   requires qemu-io --version
#
# It then has: set -euo pipefail, an empty directory $tmp of its own that goes away at the end, and
# the functions below. A command that fails ends the test and names its line. ctest sets CASDISK,
# CASDISK_PLUGIN and SRCDIR; by hand they are those of build/dev.
set -Eeuo pipefail

SRCDIR=${SRCDIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
CASDISK=${CASDISK:-$SRCDIR/build/dev/nbd/casdisk}
CASDISK_PLUGIN=${CASDISK_PLUGIN:-$SRCDIR/build/dev/nbd/nbdkit-casdisk-plugin.so}
export SRCDIR CASDISK CASDISK_PLUGIN

# mkfs, losetup and others, also for a user who is not root.
PATH=$PATH:/usr/sbin:/sbin

# Debian's own python3, which is the one that has python3-libnbd, whatever else comes first in PATH.
python3() {
  if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else command python3 "$@"; fi
}

# --- Ends -----------------------------------------------------------------------------------

# fail MESSAGE...: the test has failed. It is said on the test's own stderr: what fails may have another.
exec {test_stderr}>&2
fail() {
  echo "FAIL: $*" >&"$test_stderr"
  exit 1
}

# skip REASON...: the test cannot run here. scripts/test shows the reason.
skip() {
  echo "SKIP: $*"
  exit 77
}

# requires COMMAND [ARGUMENT...]: skips unless the command succeeds.
#   requires qemu-io --version
#   requires python3 -c 'import nbd'
requires() {
  "$@" </dev/null >/dev/null 2>&1 || skip "needs: $*"
}

requires_root() { [ "$(id -u)" -eq 0 ] || skip "needs root"; }

# /dev/fuse and the right to mount.
requires_fuse() {
  [ -w /dev/fuse ] || skip "needs /dev/fuse"
  requires fusermount3 --version
}

# A loop device that can be attached. A container often has the node and not the right.
requires_loop() {
  requires_root
  requires losetup --find
}

# cleanup_fn COMMAND [ARGUMENT...]: runs it when the test ends, however it ends; the last one
# registered runs first.
cleanups=()
cleanup_fn() {
  cleanups+=("$(printf '%q ' "$@")")
}

run_cleanups() {
  local status=$? i
  trap - ERR
  set +e
  for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
    eval "${cleanups[i]}"
  done
  exit "$status"
}
trap run_cleanups EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'echo "FAIL: ${BASH_SOURCE[0]##*/}:$LINENO: status $?: $BASH_COMMAND" >&"$test_stderr"' ERR

# Not under /tmp, which may be a small tmpfs without holes: stores want a real file system. Short,
# because the path of a socket has at most 107 bytes.
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/casdisk.XXXXXX")
cleanup_fn rm -rf -- "$tmp"

# expect_exit STATUS COMMAND...: the command must end with exactly this status.
expect_exit() {
  local expected=$1 status=0
  shift
  "$@" || status=$?
  [ "$status" -eq "$expected" ] || fail "exit status $status, not $expected: $*"
}

# wait_until SECONDS COMMAND...: polls until the command succeeds; fails the test after SECONDS.
wait_until() {
  local seconds=$1 end=$((SECONDS + $1 + 1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "not within $seconds s: $*"
    sleep 0.05
  done
}

# --- Servers --------------------------------------------------------------------------------

# start_nbdkit [--OPTION=VALUE...] [KEY=VALUE...]: serves the plugin on a unix socket and returns
# when the socket accepts. Options go to nbdkit, the rest to the plugin:
#   start_nbdkit --filter=delay store="$tmp/store" disk=a rdelay=1
# Sets nbdkit_pid, nbdkit_log, socket and uri. The server dies with the test, kill -9 included.
servers_started=0
declare -A running=() # by pid: only these are ever killed
start_nbdkit() {
  local argument options=() parameters=() base
  for argument; do
    case $argument in
      -*) options+=("$argument") ;;
      *) parameters+=("$argument") ;;
    esac
  done
  servers_started=$((servers_started + 1))
  base=$tmp/nbdkit-$servers_started
  socket=$base.sock
  nbdkit_log=$base.log
  # shellcheck disable=SC2034 # for the test that sources this
  uri="nbd+unix:///?socket=$socket"
  nbdkit --foreground --exit-with-parent --unix "$socket" --pidfile "$base.pid" "${options[@]}" \
    "$CASDISK_PLUGIN" "${parameters[@]}" </dev/null >"$nbdkit_log" 2>&1 &
  nbdkit_pid=$!
  running[$nbdkit_pid]=1
  cleanup_fn stop_nbdkit "$nbdkit_pid"
  # nbdkit writes its pid file when it is ready to accept.
  local tries
  for ((tries = 0; tries < 400; tries++)); do
    [ -s "$base.pid" ] && return 0
    kill -0 "$nbdkit_pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$nbdkit_log" >&2
  fail "nbdkit did not start: ${parameters[*]}"
}

# stop_nbdkit [PID]: ends the server (the last one started) and waits until it is gone. nbdkit waits
# for idle clients, without bound: after 5 s it is killed.
stop_nbdkit() {
  local pid=${1:-$nbdkit_pid} tries
  [ -n "${running[$pid]-}" ] || return 0
  kill "$pid" 2>/dev/null || true
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  kill_nbdkit "$pid"
}

# kill_nbdkit [PID]: kill -9, and waits until its locks are gone.
kill_nbdkit() {
  local pid=${1:-$nbdkit_pid}
  [ -n "${running[$pid]-}" ] || return 0
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  unset "running[$pid]"
}

# start_serve [ARGUMENT...]: runs `casdisk serve ARGUMENT...` and returns when it has printed its URI.
# Sets serve_pid, serve_log (what it says on stderr) and uri. stop_nbdkit "$serve_pid" ends it; its nbdkit
# dies with it, however it ends.
start_serve() {
  local base tries
  servers_started=$((servers_started + 1))
  base=$tmp/serve-$servers_started
  serve_log=$base.log
  "$CASDISK" serve "$@" </dev/null >"$base.uri" 2>"$serve_log" &
  serve_pid=$!
  running[$serve_pid]=1
  cleanup_fn stop_nbdkit "$serve_pid"
  for ((tries = 0; tries < 400; tries++)); do
    # shellcheck disable=SC2034 # for the test that sources this
    [ -s "$base.uri" ] && uri=$(<"$base.uri") && return 0
    kill -0 "$serve_pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$serve_log" >&2
  fail "did not serve: $*"
}

# --- Data -----------------------------------------------------------------------------------

# make_image SIZE FILE [SEED]: a raw image, the same for the same seed. SIZE takes K, M, G. About half
# is holes; the rest is random bytes, text that compresses, and repetitions that deduplicate.
make_image() {
  python3 - "$1" "$2" "${3:-1}" <<'PYTHON'
import random, sys
size, path, rng = sys.argv[1], sys.argv[2], random.Random(int(sys.argv[3]))
size = int(size[:-1]) << {"K": 10, "M": 20, "G": 30}[size[-1]] if size[-1] in "KMG" else int(size)
piece = 64 << 10
text = (b"Every byte of a checkpoint is proved by one root. " * 1400)[:piece]
repeated = rng.randbytes(piece)
with open(path, "wb") as image:
    image.truncate(size)
    at = 0
    while at < size:
        run = rng.randrange(1, 16)  # pieces of one kind in a row
        kind = rng.choice(("hole", "hole", "hole", "random", "text", "repeated"))
        for at in range(at, min(size, at + run * piece), piece):
            data = {"hole": b"", "text": text, "repeated": repeated}.get(kind)
            data = rng.randbytes(piece) if data is None else data
            image.seek(at)
            image.write(data[:size - at])
        at += piece
PYTHON
}

# same_bytes FILE FILE: fails unless both hold the same bytes.
same_bytes() {
  cmp -- "$1" "$2" || fail "$1 and $2 differ"
}
