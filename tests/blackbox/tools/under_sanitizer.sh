#!/usr/bin/env bash
# Runs a black-box test against a sanitized build: under_sanitizer.sh address|thread LIBRARY TEST
#
# nbdkit is not sanitized and cannot load a plugin that is, unless the sanitizer's run-time LIBRARY was there
# first: a wrapper that comes first in PATH preloads it, for nbdkit alone. What the sanitizer finds in any
# process of ours, also in one that is killed or whose stderr nobody reads, goes to files; a test that leaves
# one behind has failed, whatever else it says.
set -euo pipefail
kind=$1 library=$2
shift 2

reports=$(mktemp -d "${TMPDIR:-/var/tmp}/casdisk-reports.XXXXXX")
trap 'rm -rf -- "$reports"' EXIT
mkdir "$reports/bin"
real=$(command -v nbdkit) || { echo "SKIP: needs nbdkit"; exit 77; }
# ThreadSanitizer does not see what orders a ring's completions.
plain_calls=
if [ "$kind" = thread ]; then plain_calls='case "$*" in *casdisk-plugin.so*) set -- "$@" io=posix ;; esac'; fi
cat >"$reports/bin/nbdkit" <<WRAPPER
#!/bin/sh
$plain_calls
LD_PRELOAD=$library exec $real "\$@"
WRAPPER
chmod +x "$reports/bin/nbdkit"
export PATH=$reports/bin:$PATH

# Leaks: nbdkit leaves things behind at its end, and has unloaded the plugin by then. The unit tests look for
# ours. A small quarantine, because tests watch what memory a server takes.
suppressions=$(dirname "$0")/sanitizer_suppressions.txt
common=log_path=$reports/report:print_stacktrace=1:handle_abort=0
export ASAN_OPTIONS=$common:detect_leaks=0:quarantine_size_mb=8:detect_stack_use_after_return=0
export UBSAN_OPTIONS=$common
# Its deadlock detector gives up at 64 locks; a large write holds more (index/block_locks.h), in one order.
export TSAN_OPTIONS=log_path=$reports/report:suppressions=$suppressions:halt_on_error=0:history_size=4:detect_deadlocks=0
export CASDISK_SANITIZED=$kind # for a test that has to know

status=0
"$@" || status=$?
found=("$reports"/report*)
if [ -e "${found[0]}" ]; then
  echo "FAIL: the sanitizer has found:"
  cat "${found[@]}"
  exit 1
fi
exit "$status"
