// The parts of `casdisk kv`. kv_commands.cc has their table.
#pragma once

#include <span>

#include "nbd/cli/commands.h"

namespace casdisk {

std::span<const Command> kv_commands();

Syntax kv_compact_syntax();
Syntax kv_copy_syntax();
Syntax kv_delete_syntax();
Syntax kv_dump_syntax();
Syntax kv_get_syntax();
Syntax kv_is_stale_syntax();
Syntax kv_load_syntax();
Syntax kv_ls_syntax();
Syntax kv_put_syntax();
Syntax kv_snapshot_syntax();
Syntax kv_stats_syntax();
Syntax kv_sweep_syntax();
Syntax kv_truncate_syntax();

Result<int> run_kv_compact(Session& session, const Arguments& arguments);
Result<int> run_kv_copy(Session& session, const Arguments& arguments);
Result<int> run_kv_delete(Session& session, const Arguments& arguments);
Result<int> run_kv_dump(Session& session, const Arguments& arguments);
Result<int> run_kv_get(Session& session, const Arguments& arguments);
Result<int> run_kv_is_stale(Session& session, const Arguments& arguments);
Result<int> run_kv_load(Session& session, const Arguments& arguments);
Result<int> run_kv_ls(Session& session, const Arguments& arguments);
Result<int> run_kv_put(Session& session, const Arguments& arguments);
Result<int> run_kv_snapshot(Session& session, const Arguments& arguments);
Result<int> run_kv_stats(Session& session, const Arguments& arguments);
Result<int> run_kv_sweep(Session& session, const Arguments& arguments);
Result<int> run_kv_truncate(Session& session, const Arguments& arguments);

}  // namespace casdisk
