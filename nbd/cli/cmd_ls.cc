// casdisk ls
#include <fmt/format.h>

#include "nbd/cli/catalog.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"

namespace casdisk {

Syntax ls_syntax() {
  return {.about =
              "DIRTY is the space of what was written since the last checkpoint and is not sealed\n"
              "yet; PARENT the checkpoint that the disk descends from.",
          .examples = "  casdisk ls\n  casdisk ls --json | jq -r '.disks[].name'\n"};
}

Result<int> run_ls(Session& session, const Arguments&) {
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto disks, summarize_disks(*store));
  std::vector<std::vector<std::string>> rows = {
      {"NAME", ">SIZE", ">DIRTY", ">CHECKPOINTS", "PARENT", "CREATED", "STATE"}};
  Json list = Json::array();
  for (const DiskSummary& disk : disks) {
    std::string state = state_word(disk);
    if (disk.holder) state += fmt::format(" pid {}", disk.holder->pid);
    rows.push_back({disk.name, human_bytes(disk.head.size_bytes), human_bytes(disk.dirty_bytes),
                    std::to_string(disk.checkpoints.size()),
                    disk.parent ? made_as(*disk.parent) : "-", utc_text(disk.head.created_ns),
                    state});
    list.push_back(disk_json(disk));
  }
  session.console().answer(
      disks.empty() ? "no disks yet; `casdisk import --help` makes one\n" : table_text(rows),
      {{"disks", std::move(list)}});
  return 0;
}

}  // namespace casdisk
