# shellcheck shell=bash
# What the scripts for users share. A script begins with
#
#   #!/usr/bin/env bash
#   # What it does, and how: this comment is its --help.
#   . "$(dirname "$(realpath -- "$0")")/lib/common.sh"
#
# Exit codes are those of casdisk: 0 done, 1 the answer is no, 2 wrong usage, 3 a failure, 4 busy,
# 130 interrupted.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
program=${0##*/}
scripts=$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/..

if [ -n "${CASDISK_STORE-}" ]; then
  CASDISK_STORE=$(realpath -m -- "$CASDISK_STORE")
  export CASDISK_STORE
fi

note() { echo "$program: $*" >&2; }

# die STATUS MESSAGE...
die() {
  local status=$1
  shift
  note "$@"
  exit "$status"
}

# usage: the opening comment of the script.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# common_option ARGUMENT...: --help and --store DIR, which every script has. Sets shifts to how many
# arguments it took; fails the script for an option that nobody knows.
common_option() {
  case $1 in
    -h | --help) usage; exit 0 ;;
    --store)
      CASDISK_STORE=$(value_of "$@")
      CASDISK_STORE=$(realpath -m -- "$CASDISK_STORE")
      export CASDISK_STORE
      # shellcheck disable=SC2034 # for the script that sources this
      shifts=2
      ;;
    *) die 2 "unknown option $1; see $program --help" ;;
  esac
}

# value_of OPTION [VALUE...]: the value, which must be there.
value_of() {
  [ $# -ge 2 ] || die 2 "$1 needs a value"
  printf '%s' "$2"
}

# number_of OPTION [VALUE...]: the same for a number.
number_of() {
  [[ ${2-} =~ ^[0-9]{1,6}$ ]] || die 2 "$1 needs a number"
  printf '%s' "$((10#$2))"
}

# The command casdisk: $CASDISK, in the PATH, or built beside these scripts.
casdisk() { "$casdisk" --quiet "$@"; }
find_casdisk() {
  local candidate
  for candidate in "${CASDISK-}" "$(type -P casdisk || true)" \
    "$scripts/../build/release/nbd/casdisk" "$scripts/../build/dev/nbd/casdisk"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      casdisk=$candidate
      return
    fi
  done
  die 2 "no casdisk: not in the PATH, and not built (scripts/build); CASDISK may name it"
}

has() { type -P "$1" >/dev/null; }

# json_text TEXT: as a JSON string.
json_text() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/\\t}
  printf '"%s"' "${text//[[:cntrl:]]/?}"
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
seconds_text() { printf '%d.%02d' $(($1 / 1000)) $(($1 % 1000 / 10)); } # of milliseconds

# wait_for SECONDS COMMAND...: polls until the command succeeds; fails after SECONDS.
wait_for() {
  local tries=$(($1 * 20))
  shift
  until "$@"; do
    [ "$((tries--))" -gt 0 ] || return 1
    sleep 0.05
  done
}

# --- At the end -----------------------------------------------------------------------------

# at_end COMMAND [ARGUMENT...]: runs it when the script ends, however it ends; the last one registered
# runs first. A signal that comes meanwhile is not heeded: what is half taken down would stay.
at_ends=()
at_end() { at_ends+=("$(printf '%q ' "$@")"); }
run_at_ends() {
  local status=$? i
  trap - EXIT
  trap '' INT TERM HUP
  set +e
  for ((i = ${#at_ends[@]} - 1; i >= 0; i--)); do eval "${at_ends[i]}"; done
  exit "$status"
}
trap run_at_ends EXIT
trap 'exit 130' INT TERM HUP

# --- Processes ------------------------------------------------------------------------------

# A process is known by its number and the moment it began, since numbers are used again.
began() { # began PID: fails when it is gone, or a zombie
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra fields <<<"${stat##*) }"
  [ "${fields[0]}" != Z ] && echo "${fields[19]}"
}

# remember_process PID FILE: one that is gone already is remembered as gone.
remember_process() { echo "$1 $(began "$1" || echo gone)" >"$2"; }

is_running() { # is_running FILE
  local pid moment
  read -r pid moment <"$1" && [ "$(began "$pid")" = "$moment" ]
} 2>/dev/null
is_gone() { ! is_running "$1"; }

# end_process FILE SECONDS: SIGTERM, after SECONDS SIGKILL. Returns when it is gone.
end_process() {
  local pid
  [ -s "$1" ] && is_running "$1" || return 0
  read -r pid _ <"$1"
  kill "$pid" 2>/dev/null || true
  wait_for "$2" is_gone "$1" && return 0
  kill -9 "$pid" 2>/dev/null || true
  wait_for 10 is_gone "$1"
}

# --- Servers --------------------------------------------------------------------------------

# start_server DIR ARGUMENT...: `casdisk serve ARGUMENT...` in a session of its own, so that Ctrl-C does
# not end it. Sets server_uri. DIR/server remembers the process, $server_log (DIR/server.log) has what it
# says. With server_lifetime=script it ends when this shell does, kill -9 included. Returns casdisk's exit
# code.
start_server() {
  local dir=$1 log=${server_log:-$1/server.log} pid tries bound=()
  shift
  if [ "${server_lifetime-}" = script ] && has setpriv; then bound=(setpriv --pdeathsig TERM); fi
  : >"$dir/server.uri"
  setsid "${bound[@]}" "$casdisk" serve "$@" </dev/null >"$dir/server.uri" 2>"$log" &
  pid=$!
  remember_process "$pid" "$dir/server" || true
  for ((tries = 0; tries < 600; tries++)); do
    # shellcheck disable=SC2034 # for the script that sources this
    if server_uri=$(head -n 1 "$dir/server.uri") && [ -n "$server_uri" ]; then return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.05
  done
  end_process "$dir/server" 5
  local status=0
  wait "$pid" || status=$?
  cat "$log" >&2
  return "$((status == 0 ? 3 : status))"
}

# uri_of_disk URI DISK: the URI of one disk of a server of all disks on a Unix socket or a port.
uri_of_disk() {
  case $1 in
    nbd+unix:///*) echo "nbd+unix:///$2?${1#*\?}" ;;
    *) echo "${1%/}/$2" ;;
  esac
}

# parse_uri URI: sets socket, or host and port, and export_name.
# shellcheck disable=SC2034 # for the script that sources this
parse_uri() {
  local rest=${1#*://} query=''
  socket='' host='' port=10809
  case $rest in *\?*) query=${rest#*\?} rest=${rest%%\?*} ;; esac
  export_name=''
  case $rest in */*) export_name=$(unescape "${rest#*/}") rest=${rest%%/*} ;; esac
  case $1 in
    nbd+unix://*) socket=$(unescape "${query#*socket=}") ;;
    nbd://*)
      if [[ $rest =~ ^(.*):([0-9]+)$ ]]; then rest=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}; fi
      rest=${rest#[}
      host=${rest%]}
      ;;
    *) die 2 "$1: it must be nbd://HOST/NAME or nbd+unix:///NAME?socket=PATH" ;;
  esac
}
unescape() { printf '%b' "${1//%/\\x}"; }
