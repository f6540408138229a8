#!/usr/bin/env bash
# Every command: what it does, its exit codes, and that what it says with --json is JSON.
. "$(dirname "$0")/functions.sh"
requires jq --version
requires qemu-io --version
store=$tmp/store
cd "$tmp"

# json FILTER ARGUMENT...: the command succeeds, and jq finds FILTER true of its answer.
json() {
  local filter=$1
  shift
  "$CASDISK" --store "$store" "$@" --json >json.out || fail "status $?: $*: $(cat json.out)"
  jq -e "$filter" json.out >/dev/null || fail "not $filter: $*: $(cat json.out)"
}
# refuses STATUS PATTERN ARGUMENT...: ends with STATUS, says PATTERN, in JSON too.
refuses() {
  local status=$1 pattern=$2
  shift 2
  expect_exit "$status" "$CASDISK" --store "$store" "$@" >out 2>err
  grep -q -e "$pattern" err || fail "not \"$pattern\": $*: $(cat err)"
  grep -q '^casdisk: ' err || fail "not from casdisk: $(cat err)"
  expect_exit "$status" "$CASDISK" --store "$store" "$@" --json >json.out 2>err
  jq -e ".exit == $status and (.error | length > 0)" json.out >/dev/null || fail "$(cat json.out)"
}

refuses 1 "init" ls
refuses 2 "zstd, lz4 or none" init --codec rar
json '.codec == "lz4"' init --codec lz4
refuses 1 "already" init
mkdir other && touch other/file
expect_exit 2 "$CASDISK" --store other init 2>err

json '.disks == []' ls
json '.disk == "a" and .size_bytes == 10000000 and .fallback == null' create a --size 10000000
refuses 1 "exists" create a --size 1M
refuses 2 "size" create b
refuses 2 "not a size" create b --size many
refuses 2 "sizes go from" create b --size 0
refuses 2 "letter or a digit" create .b --size 1M
refuses 1 "no-such" create b --fallback no-such
json '.size_bytes == 10000000 and .source == "a"' fork a b
json '.size_bytes == 20971520' fork a c --size 20M
refuses 1 "nothing" fork nothing d
refuses 1 "exists" fork a b
json '[.disks[].name] == ["a", "b", "c"] and .disks[0].state == "idle"' ls

json '.checkpoint.name == "a@one" and (.checkpoint.id | length == 64)' checkpoint a one
refuses 1 "one" checkpoint a one
refuses 2 "checkpoint name" checkpoint a a/b
refuses 1 "nothing" checkpoint nothing
json '.checkpoint.name | test("^a@20[0-9-]+T[0-9]{2}[.][0-9]{2}[.][0-9]{2}Z")' checkpoint a
json '.checkpoint.name | startswith("a@20")' checkpoint a
json '.checkpoint.name | startswith("a@20")' checkpoint a
"$CASDISK" --store "$store" checkpoint a two | grep -Eq '^a@two [0-9a-f]{64}$'
json '.checkpoints | length == 5' log a
json '[.checkpoints[].state] | unique == ["kept"]' log a

start_nbdkit store="$store" disk=a
qemu-io -f raw -c "write -P 0x55 1M 100k" "$uri" >/dev/null
json '.disks[0].state == "busy" and .disks[0].pid == '"$nbdkit_pid" ls
json '.state == "busy" and .dirty_bytes >= 102400' info a
refuses 4 "held by pid $nbdkit_pid" rm a
refuses 4 "held by pid $nbdkit_pid" accept a
json '.state == "served" and .client_count == 0 and .requests.write.count >= 1' status a
json '[.disks[].state] == ["served", "idle", "idle"]' status
refuses 1 "nothing" status nothing
json '.disk == "a"' flush a
json '.client_count == 0' detach a
json '.disk == "b" and .client_count == 0' detach b
json '.disk == "b" and .sealed' seal b
json '.disk == "b"' flush b
refuses 2 "KEY=VALUE" checkpoint b x --label owner
echo memory >memory
refuses 2 "m is given twice" checkpoint b x --attach m=memory --attach m=memory
refuses 1 "no-such" checkpoint b x --attach m=no-such
refuses 2 "--group" checkpoint a b c
refuses 2 "given twice" checkpoint a --group x --group y
stop_nbdkit
json '.state == "idle" and .dirty_bytes >= 102400 and .pid == null' info a

json '.equal' diff a@one b
expect_exit 1 "$CASDISK" --store "$store" diff a@two a >out
[ "$(head -n 1 out)" = "1048576 131072" ] || fail "$(cat out)"
expect_exit 1 "$CASDISK" --store "$store" diff a@two a --json >json.out
jq -e '.equal == false and .changed_bytes == 131072 and
  .ranges == [{"offset_bytes": 1048576, "length_bytes": 131072}]' json.out >/dev/null
expect_exit 1 "$CASDISK" --store "$store" diff a c --json >json.out # sizes count
jq -e '.equal == false and .before_size_bytes == 10000000 and .after_size_bytes == 20971520' json.out >/dev/null
refuses 1 "nothing" diff a nothing

json '.disk == "a" and .checkpoint.name == "a@one"' rollback a one
json '.checkpoint.name == "a@one"' rollback a@one
json '.checkpoint.name == "a@one"' rollback a a@one
refuses 1 "nothing" rollback a nothing
refuses 2 "casdisk log a" rollback a
refuses 2 "checkpoint name" rollback a b@one
json '[.checkpoints[].state] == ["kept", "aside", "aside", "aside", "aside"]' log a
json '.equal' diff a a@one
json '.removed == "a@one"' rm a@one
refuses 1 "a@one" rm a@one
json '.checkpoints[0].state == "removed"' log a
refuses 1 "a@one" info a@one
json '.name == "a@two" and .state == "kept"' info a@two
json '.parent == "a@one" and .checkpoint_count == 4' info a
json '.size_bytes == 12582912 and .before_size_bytes == 10000000' resize a 12M
refuses 2 "--shrink" resize a 1M
json '.size_bytes == 1048576' resize a 1M --shrink
refuses 2 "no fallback" ingest a
json '.disk == "a"' accept a
json '.disk_count == 3 and .checkpoint_count == 4 and .codec == "lz4" and .stored_bytes > 0 and
  (.io == "uring" or .io == "posix")' info
json '.io == "posix"' info --io posix
refuses 2 "uring" info --io sometimes
refuses 2 "not a size" info --cache much
refuses 2 "from 1M to 1T" info --cache 0
json '.removed == "a"' rm a
refuses 1 "disk.* a[; ]" info a
refuses 1 "disk.* a[; ]" log a
refuses 1 "disk.* a[; ]" export a x
refuses 1 "disk.* a[; ]" serve a
json '[.disks[].name] == ["b", "c"]' ls

# Usage.
refuses 2 "did you mean import" improt
refuses 2 "did you mean --fallback" create x --fallbck y
refuses 2 "missing SRC" import
refuses 2 "too many" ls x
refuses 2 "no command"
expect_exit 2 "$CASDISK" --store "" ls 2>err
grep -q "is empty" err
refuses 2 "must not be empty" info ""
refuses 2 "SRC is empty" import "" x
refuses 2 "DEST is empty" export b ""
refuses 2 "download it" import http://localhost/x x
refuses 2 "does not have that address" serve b --port 0 --bind 192.0.2.1
refuses 2 "name one disk" serve
refuses 2 "exclude" serve b --socket x --port 1
expect_exit 0 "$CASDISK" --help >out
grep -o '^  [a-z]* ' out >commands
check_help() { # WORD...: of a command, or of each of its parts
  "$CASDISK" "$@" --help >out || fail "$* --help"
  grep -q "usage: casdisk $*" out
  "$CASDISK" --json "$@" -h | jq -e .help >/dev/null
  if grep -q "usage: casdisk $* COMMAND" out; then
    local part parts
    parts=$(sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' out)
    for part in ${parts:?}; do check_help "$@" "$part"; done
  else
    grep -q "exit codes" out
    grep -q "  casdisk $*" out || fail "$* --help has no example"
  fi
}
for command in $(cat commands); do check_help "$command"; done
[ "$(wc -l <commands)" -ge 16 ] || fail "commands: $(cat commands)"
"$CASDISK" --version | grep -q '^casdisk [0-9]'
CASDISK_STORE=$store "$CASDISK" ls >/dev/null
"$CASDISK" ls --store="$store" | grep -q '^NAME  *SIZE  *DIRTY  *CHECKPOINTS  *PARENT  *CREATED  *STATE$'
expect_exit 3 "$CASDISK" --store "$store" ls >/dev/full 2>err
