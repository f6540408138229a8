# shellcheck shell=bash
# shellcheck disable=SC2154 # both are the script's that sources this
# For scripts that work in the root file system of a guest, $root, with what is theirs for now in $work.

quietly() { # shows what was said only when it fails
  "$@" </dev/null >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; die 3 "$1 failed"; }
}

in_guest() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C DEBIAN_FRONTEND=noninteractive \
  ${http_proxy:+http_proxy="$http_proxy"} "$@"; }
