// casdisk diff
#include <fmt/format.h>

#include "index/checkpoint_view.h"
#include "index/volume_diff.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/exit.h"
#include "nbd/cli/format.h"

namespace casdisk {
namespace {

Result<uint64_t> size_of(Store& store, const VolumeName& name) {
  if (!name.is_checkpoint()) {
    TRY_ASSIGN(HeadRecord head, store.catalog().head(name.disk));
    return head.size_bytes;
  }
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, name));
  return found.record.size_bytes;
}

}  // namespace

Syntax diff_syntax() {
  return {
      .positionals = {{"A"}, {"B"}},
      .about =
          "Lists the ranges, in chunks of 64 KiB, in which two disks or disk@checkpoints differ, "
          "as\n"
          "OFFSET LENGTH in bytes, and their sum. The time it takes goes with what differs. What\n"
          "a disk has unsealed is sealed first, by its server if it is served.",
      .exit_codes = "  1 when they differ, in content or in size\n",
      .examples = "  casdisk diff web@import web\n"};
}

Result<int> run_diff(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName before, parse_volume_name(arguments.positional(0)));
  TRY_ASSIGN(VolumeName after, parse_volume_name(arguments.positional(1)));
  TRY_ASSIGN(Store * store, session.store());
  std::vector<DiffRange> ranges;
  uint64_t changed_bytes = 0;
  {
    ProgressBar bar("diff", std::nullopt, session.progress());
    TRY(diff_volumes(*store, before, after, [&](const DiffRange& range) {
      ranges.push_back(range);
      changed_bytes += range.length;
      return true;
    }));
  }
  TRY_ASSIGN(uint64_t before_bytes, size_of(*store, before));
  TRY_ASSIGN(uint64_t after_bytes, size_of(*store, after));
  bool equal = ranges.empty() && before_bytes == after_bytes;

  std::string text;
  Json list = Json::array();
  for (const DiffRange& range : ranges) {
    if (!session.options().json) text += fmt::format("{} {}\n", range.offset, range.length);
    if (session.options().json) {
      list.push_back({{"offset_bytes", range.offset}, {"length_bytes", range.length}});
    }
  }
  if (before_bytes != after_bytes) {
    text += fmt::format("{} has {} bytes, {} has {}\n", before.text(), before_bytes, after.text(),
                        after_bytes);
  }
  text += equal
              ? fmt::format("{} and {} are equal\n", before.text(), after.text())
              : fmt::format("{} in {} ranges differ\n", human_bytes(changed_bytes), ranges.size());
  session.console().answer(text, {{"before", before.text()},
                                  {"after", after.text()},
                                  {"equal", equal},
                                  {"before_size_bytes", before_bytes},
                                  {"after_size_bytes", after_bytes},
                                  {"changed_bytes", changed_bytes},
                                  {"ranges", std::move(list)}});
  return equal ? kExitDone : kExitNo;
}

}  // namespace casdisk
