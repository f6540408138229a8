// casdisk ingest, accept
#include <fmt/format.h>

#include "index/lineage.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"

namespace casdisk {

Syntax ingest_syntax() {
  return {
      .positionals = {{"DISK"}},
      .options = {kThreadsOption},
      .about =
          "Takes all that DISK still has in its fallback file into the store. Afterwards neither\n"
          "DISK nor what shares the file up to that point needs it. The disk may be in use.",
      .exit_codes = "  3 when the file is not what it was when the disk was made\n",
      .examples = "  casdisk ingest web\n"};
}

Result<int> run_ingest(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  TRY_ASSIGN(unsigned threads, threads_of(arguments));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(HeadRecord head, store->catalog().head(name));
  uint64_t total_bytes = head.fallback ? head.fallback->limit_bytes : 0;
  {
    ProgressBar bar("ingest " + name, total_bytes, session.progress());
    TRY(ingest_disk(*store, name, threads, [&](uint64_t bytes) { bar.set(bytes); }));
  }
  uint64_t new_bytes = store->local_chunks().counters().new_stored_bytes;
  session.console().answer(
      fmt::format("{} needs its fallback no more: {} of it, new in the store {}\n", name,
                  human_bytes(total_bytes), human_bytes(new_bytes)),
      {{"disk", name}, {"ingested_bytes", total_bytes}, {"new_stored_bytes", new_bytes}});
  return 0;
}

Syntax accept_syntax() {
  return {
      .positionals = {{"DISK"}},
      .options = {kThreadsOption},
      .about =
          "When the device under the store fails a sync, nobody can say which of the writes since\n"
          "the last flush are on it, and the disk is closed. With the device in order again, this\n"
          "takes what was flushed before as the disk's content, as after a power cut, stores it "
          "anew\n"
          "and opens the disk. Check the file system on it, or roll back to a checkpoint instead.",
      .examples = "  casdisk accept web\n"};
}

Result<int> run_accept(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  TRY_ASSIGN(unsigned threads, threads_of(arguments));
  TRY_ASSIGN(Store * store, session.store());
  {
    ProgressBar bar("seal " + name, std::nullopt, session.progress());
    TRY(accept_disk(*store, name, threads, [&](uint64_t bytes) { bar.set(bytes); }));
  }
  session.console().answer(fmt::format("{} can be used again\n", name), {{"disk", name}});
  return 0;
}

}  // namespace casdisk
