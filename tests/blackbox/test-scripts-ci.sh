#!/usr/bin/env bash
# scripts/ci-disk-test: every test has a disk of its own with the base's bytes, the report is right, and
# nothing is left, whatever the tests do and however it ends.
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/functions-attach.sh"
PATH=/usr/bin:$PATH # Debian's python3 is the one that nbdsh is for
requires nbdsh --version
requires pkill --version

export CASDISK_STORE=$tmp/store CASDISK_RUN=$tmp/run
ci=$SRCDIR/scripts/ci-disk-test
stop() { kill "$1" 2>/dev/null || true; }
disks() { "$CASDISK" ls | awk 'NR > 1 { print $1 }' | tr '\n' ' '; }

"$ci" --help | grep -q CASDISK_URI
expect_exit 2 "$ci" base 2>/dev/null
"$CASDISK" init
make_image 8M "$tmp/image"
"$CASDISK" import "$tmp/image" base
expect_exit 1 "$ci" nobody true 2>/dev/null

# --- Pass, fail, too slow, and a report ---

cat >"$tmp/fresh.sh" <<'SCRIPT'
#!/usr/bin/env bash
# Only on a fresh disk: writes where it looks.
nbdsh -u "$CASDISK_URI" -c 'before = h.pread(16, 1 << 20)' -c 'assert before != b"x" * 16' \
  -c 'h.pwrite(b"x" * 16, 1 << 20)' -c 'h.flush()'
SCRIPT
chmod +x "$tmp/fresh.sh"
printf '%s\n' "# of a file" "$tmp/fresh.sh" "" 'test "$CASDISK_DISK" != base' >"$tmp/tests"
expect_exit 0 "$ci" base -j 3 --file "$tmp/tests" "$tmp/fresh.sh" "$tmp/fresh.sh" >"$tmp/said"
grep -q '^4 tests: 4 passed, 0 failed' "$tmp/said" || fail "$(cat "$tmp/said")"
[ "$(disks)" = "base " ] || fail "left: $(disks)"

expect_exit 1 "$ci" base true 'echo "a <word>"; exit 7' 'sleep 60' --timeout 2 --keep-failed \
  --junit "$tmp/junit.xml" --logs "$tmp/logs" -j2 >"$tmp/said"
grep -q '^3 tests: 1 passed, 2 failed, 0 could not be run' "$tmp/said" || fail "$(cat "$tmp/said")"
grep -q 'FAIL .*(exit status 7)' "$tmp/said" || fail "$(cat "$tmp/said")"
grep -q 'FAIL .*(not within 2 s)' "$tmp/said" || fail "$(cat "$tmp/said")"
[ "$(cat "$tmp/logs/1.log")" = "a <word>" ] || fail "no log"
python3 - "$tmp/junit.xml" <<'PYTHON'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
assert (suite.get("tests"), suite.get("failures")) == ("3", "2"), suite.attrib
failed = [case.find("failure") is not None for case in suite]
assert sorted(failed) == [False, True, True], failed
assert any("a <word>" in case.findtext("system-out") for case in suite)
PYTHON
# The disk of a test that failed is there to be looked at.
for disk in $(sed -n 's/^ *kept: disk //p' "$tmp/said"); do
  "$CASDISK" rm "$disk" >/dev/null
  kept=$((${kept-0} + 1))
done
[ "$kept" -eq 2 ] || fail "$kept disks kept, not 2"
[ "$(disks)" = "base " ] || fail "left: $(disks)"

# --- Interrupted; and a test that leaves a process behind ---

"$ci" base -j 2 "touch $tmp/began; sleep 300" 'sleep 300' 'sleep 300' >"$tmp/said" &
ci_pid=$!
cleanup_fn stop "$ci_pid"
wait_until 60 test -e "$tmp/began"
kill "$ci_pid"
expect_exit 130 wait "$ci_pid"
[ "$(disks)" = "base " ] || fail "left: $(disks)"
"$ci" base "sleep 300 & echo \$! >$tmp/sleeper" >"$tmp/said"
! kill -0 "$(cat "$tmp/sleeper")" 2>/dev/null || fail "a process of a test is left"

# --- Mounted ---

if [ "$(id -u)" -ne 0 ] || [ ! -w /dev/fuse ] || ! losetup --find >/dev/null 2>&1 || ! nbdfuse --version >/dev/null 2>&1; then
  echo "without --mount: needs root, a loop device, nbdfuse"
  exit 0
fi
mkdir "$tmp/files"
echo hello >"$tmp/files/greeting"
mke2fs -q -t ext4 -d "$tmp/files" "$tmp/fs" 32M
"$CASDISK" import "$tmp/fs" root
cleanup_fn "$SRCDIR/scripts/detach" --all --unmount --force
expect_exit 0 "$ci" root --mount -j 2 'grep hello "$CASDISK_MOUNT/greeting" && rm "$CASDISK_MOUNT/greeting"' \
  'cd "$CASDISK_MOUNT" && cat greeting && sleep 300 & exit 0' 'test -b "$CASDISK_DEVICE"' >"$tmp/said" || cat "$tmp/said"
[ "$(disks)" = "base root " ] || fail "left: $(disks)"
[ -z "$(ls "$tmp/run/attached")" ] || fail "attachments are left"
