#include "nbd/cli/kv_commands.h"

namespace casdisk {
namespace {

constexpr Command kCommands[] = {
    {"get", "print the value of a key", kv_get_syntax, run_kv_get},
    {"put", "write a record", kv_put_syntax, run_kv_put},
    {"delete", "remove records", kv_delete_syntax, run_kv_delete},
    {"ls", "list the keys, or the records", kv_ls_syntax, run_kv_ls},
    {"stats", "say what a store is and holds", kv_stats_syntax, run_kv_stats},
    {"dump", "print every record as it is stored", kv_dump_syntax, run_kv_dump},
    {"load", "replace everything by the records of a dump", kv_load_syntax, run_kv_load},
    {"copy", "copy all records into another store", kv_copy_syntax, run_kv_copy},
    {"snapshot", "make a consistent copy beside writers", kv_snapshot_syntax, run_kv_snapshot},
    {"truncate", "remove everything", kv_truncate_syntax, run_kv_truncate},
    {"is-stale", "whether it is of before the machine's start", kv_is_stale_syntax,
     run_kv_is_stale},
    {"sweep", "remove what has expired", kv_sweep_syntax, run_kv_sweep},
    {"compact", "give back the space of what was removed", kv_compact_syntax, run_kv_compact},
};

}  // namespace

std::span<const Command> kv_commands() { return kCommands; }

}  // namespace casdisk
