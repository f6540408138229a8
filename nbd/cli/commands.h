// The commands of casdisk: for each, what it takes and what it does. main.cc has their table.
//
// run_...() gives the exit code of what went well (0, or 1 for "differs"); everything else is an
// error.
#pragma once

#include <span>

#include "nbd/cli/arguments.h"
#include "nbd/cli/session.h"

namespace casdisk {

struct Command {
  const char* name;
  const char* summary;
  Syntax (*syntax)();
  Result<int> (*run)(Session& session, const Arguments& arguments);
  // Of a command that is several, `casdisk NAME PART`: those, and neither of the two above.
  std::span<const Command> (*parts)() = nullptr;
};

std::span<const Command> token_commands();
std::span<const Command> user_commands();

Syntax accept_syntax();
Syntax checkpoint_syntax();
Syntax create_syntax();
Syntax detach_syntax();
Syntax diff_syntax();
Syntax doctor_syntax();
Syntax export_syntax();
Syntax flush_syntax();
Syntax fork_syntax();
Syntax gc_syntax();
Syntax import_syntax();
Syntax info_syntax();
Syntax ingest_syntax();
Syntax init_syntax();
Syntax log_syntax();
Syntax ls_syntax();
Syntax prune_syntax();
Syntax repair_syntax();
Syntax report_syntax();
Syntax resize_syntax();
Syntax rm_syntax();
Syntax rollback_syntax();
Syntax seal_syntax();
Syntax serve_syntax();
Syntax status_syntax();
Syntax verify_syntax();

Result<int> run_accept(Session& session, const Arguments& arguments);
Result<int> run_checkpoint(Session& session, const Arguments& arguments);
Result<int> run_create(Session& session, const Arguments& arguments);
Result<int> run_detach(Session& session, const Arguments& arguments);
Result<int> run_diff(Session& session, const Arguments& arguments);
Result<int> run_doctor(Session& session, const Arguments& arguments);
Result<int> run_export(Session& session, const Arguments& arguments);
Result<int> run_flush(Session& session, const Arguments& arguments);
Result<int> run_fork(Session& session, const Arguments& arguments);
Result<int> run_gc(Session& session, const Arguments& arguments);
Result<int> run_import(Session& session, const Arguments& arguments);
Result<int> run_info(Session& session, const Arguments& arguments);
Result<int> run_ingest(Session& session, const Arguments& arguments);
Result<int> run_init(Session& session, const Arguments& arguments);
Result<int> run_log(Session& session, const Arguments& arguments);
Result<int> run_ls(Session& session, const Arguments& arguments);
Result<int> run_prune(Session& session, const Arguments& arguments);
Result<int> run_repair(Session& session, const Arguments& arguments);
Result<int> run_report(Session& session, const Arguments& arguments);
Result<int> run_resize(Session& session, const Arguments& arguments);
Result<int> run_rm(Session& session, const Arguments& arguments);
Result<int> run_rollback(Session& session, const Arguments& arguments);
Result<int> run_seal(Session& session, const Arguments& arguments);
Result<int> run_serve(Session& session, const Arguments& arguments);
Result<int> run_status(Session& session, const Arguments& arguments);
Result<int> run_verify(Session& session, const Arguments& arguments);

}  // namespace casdisk
