# shellcheck shell=bash
# bash completion of casdisk: source it, or install it as /usr/share/bash-completion/completions/casdisk.
#
# Commands, their parts and options come from casdisk's own --help, disks and checkpoints from the store that the
# command line names.

_casdisk_help() { casdisk "$@" --help 2>/dev/null; }

_casdisk_first_column() { # of what a command lists, of the store and the users that the line names
  local where=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --store) where+=(--store "${COMP_WORDS[i + 1]}") ;;
      --access) case $1 in user | token) where+=(--access "${COMP_WORDS[i + 1]}") ;; esac ;;
    esac
  done
  casdisk --quiet "$@" "${where[@]}" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_casdisk_names() { # DISK names, with their checkpoints once there is an "@"
  case $1 in
    *@*) _casdisk_first_column log "${1%%@*}" ;;
    *) _casdisk_first_column ls ;;
  esac
}

_casdisk() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --store | --io | --cache | --access) i=$((i + 1)) ;;
      -*) ;;
      *)
        command=${command:+$command }${COMP_WORDS[i]}
        case $command in kv | token | user) ;; *) break ;; esac # those have commands of their own
        ;;
    esac
  done
  local words=''
  case $before in
    --store | --fallback | --socket | --dir | --file | --password-file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --io) words='auto uring posix' ;;
    --codec) words='zstd lz4 none' ;;
    --cipher) words='xchacha20-poly1305 aes-256-gcm' ;;
    --pool) words='external guest auto auto-external auto-internal' ;;
    --limits) words='safe wire' ;;
    --pps-type) words='None PreprovisionedOSDisk Running Savable Unknown' ;;
    --form) words='text json' ;;
    --format) words='raw qcow2 qcow qed vmdk vhdx vpc vdi parallels' ;;
    *)
      case $word in
        -*) words=$(_casdisk_help $command | grep -o '^  --[a-z-]*') ;;
        *)
          case $command in
            '' | kv | token | user) words=$(_casdisk_help $command | awk '/^commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }') ;;
            init | ls | create | 'user add' | 'user ls' | 'user audit' | 'user rotate-key') ;;
            'token revoke' | 'token rotate') words=$(_casdisk_first_column token ls) ;;
            'user psk-file') mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
            'user '* | 'token '*) words=$(_casdisk_first_column user ls) ;;
            report) words='success failure' ;;
            kv\ *)
              if [ "$before" = : ] || [[ $word = [./]* ]]; then # behind "lmdb:", which ":" ends as a word; or a FILE
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                return
              fi
              words='lmdb: rocksdb: hyperv: memory: redis:// redis+unix:// etcd://'
              compopt -o nospace 2>/dev/null
              ;;
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
