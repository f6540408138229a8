# shellcheck shell=bash
# bash completion of casdisk: source it, or install it as /usr/share/bash-completion/completions/casdisk.
#
# Commands and options come from casdisk's own --help, disks and checkpoints from the store that the
# command line names.

_casdisk_help() { casdisk "$@" --help 2>/dev/null; }

_casdisk_names() { # DISK names, with their checkpoints once there is an "@"
  local store=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [ "${COMP_WORDS[i]}" = --store ]; then store=(--store "${COMP_WORDS[i + 1]}"); fi
  done
  case $1 in
    *@*) casdisk "${store[@]}" --quiet log "${1%%@*}" 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
    *) casdisk "${store[@]}" --quiet ls 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
  esac
}

_casdisk() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --store | --io | --cache) i=$((i + 1)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  local words=''
  case $before in
    --store | --fallback | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --io) words='auto uring posix' ;;
    --codec) words='zstd lz4 none' ;;
    --format) words='raw qcow2 qcow qed vmdk vhdx vpc vdi parallels' ;;
    *)
      case $word in
        -*) words=$(_casdisk_help $command | grep -o '^  --[a-z-]*') ;;
        *)
          case $command in
            '') words=$(_casdisk_help | awk '/^commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }') ;;
            init | ls | create) ;;
            import) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
            *) words=$(_casdisk_names "$word") ;;
          esac
          ;;
      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  if [ "$command" = export ]; then mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word"); fi
}

# "@" joins a disk and its checkpoint into one word.
COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}
complete -o filenames -F _casdisk casdisk
