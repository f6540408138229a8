#!/usr/bin/env bash
# casdisk report leaves one record in a pool, in the words that Azure's host reads, and says what is wrong where
# it cannot.
. "$(dirname "$0")/functions.sh"
requires jq --version

mkdir "$tmp/pools"
pool=$tmp/pools/.kvp_pool_1
report() { "$CASDISK" report "$@" --dir "$tmp/pools"; }
said() { # what the record says, without the time
  tr -d '\0' <"$pool" | sed 's/timestamp=[0-9T:.-]*+00:00/timestamp=NOW/'
}
refuses() { # STATUS WORDS ARGUMENT...
  local status=$1 words=$2
  shift 2
  expect_exit "$status" "$CASDISK" report "$@" 2>"$tmp/err" >/dev/null
  grep -q -e "$words" "$tmp/err" || fail "report $*: $(cat "$tmp/err")"
}

report success --vm-id abc --agent me/1 >"$tmp/out"
[ "$(said)" = "PROVISIONING_REPORTresult=success|agent=me/1|pps_type=None|vm_id=abc|timestamp=NOW" ] || fail "$(said)"
[ "$(stat -c '%s %a' "$pool")" = "2560 600" ] || fail "$(stat "$pool")"
grep -q "^result=success|agent=me/1|" "$tmp/out"

report failure --reason 'no|"lease"' --extra b=2 --extra a=1 --pps-type Running --vm-id abc --agent me/1 >/dev/null
[ "$(said)" = 'PROVISIONING_REPORTresult=error|"reason=no|""lease"""|agent=me/1|b=2|a=1|pps_type=Running|vm_id=abc|timestamp=NOW|documentation_url=https://aka.ms/linuxprovisioningerror' ] || fail "$(said)"
[ "$(stat -c %s "$pool")" = 2560 ] || fail "the old report is still there"

report success --vm-id abc --pool external --json >"$tmp/json"
jq -e --arg path "$tmp/pools/.kvp_pool_0" '.path == $path and .pool == "external" and
  .key == "PROVISIONING_REPORT" and (.report | startswith("result=success|agent=casdisk/"))' "$tmp/json" >/dev/null
report failure --reason x --documentation-url "" --vm-id abc --pool 1 >/dev/null
! said | grep -q documentation_url || fail "$(said)"

"$CASDISK" report --help | grep -q PROVISIONING_REPORT
refuses 2 "success or failure" maybe --vm-id abc
refuses 2 "missing" --vm-id abc
refuses 2 "--reason" failure --vm-id abc
refuses 2 "failure" success --reason x --vm-id abc
refuses 2 "Savable" success --pps-type Frozen --vm-id abc
refuses 2 "KEY=VALUE" success --extra x --vm-id abc
refuses 2 "given twice" success --extra x=1 --extra x=2 --vm-id abc
refuses 2 "has anyway" success --extra agent=1 --vm-id abc
refuses 2 "auto-external" success --pool nobody --vm-id abc
refuses 2 "safe or wire" success --limits none --vm-id abc
refuses 2 "empty" success --vm-id ""
refuses 2 "UTF-8" success --extra $'x=\xff' --vm-id abc --dir "$tmp/pools"
refuses 2 "1022 is the most.*shorten" success --extra "x=$(printf '%01000d' 0)" --vm-id abc --dir "$tmp/pools"
refuses 1 "$tmp/none" success --vm-id abc --dir "$tmp/none"
if [ ! -e /sys/class/dmi/id/product_uuid ]; then
  refuses 1 "--vm-id" success --dir "$tmp/pools"
fi
report success --extra "x=$(printf '%01000d' 0)" --vm-id abc --limits wire >/dev/null
[ "$(stat -c %s "$pool")" = 2560 ] || fail "$(stat "$pool")"
