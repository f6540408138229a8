// casdisk status
#include <fmt/format.h>

#include "nbd/cli/catalog.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/control/control_socket.h"
#include "nbd/control/served_disk.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

// A disk as its server sees it or, where nobody serves it, as the catalog does.
struct LiveDisk {
  std::string name;
  std::string state;  // "served", else as state_word() says
  std::optional<int64_t> pid;
  DiskStatus status;
  std::vector<RequestStats> stats;
};

Result<ControlAnswer> ask(ControlClient& server, const std::string& disk,
                          ControlOperation operation) {
  return server.call(
      request_for(disk, operation), [](uint64_t) {}, ControlClient::kShortTime);
}

Result<void> add_what_the_server_says(Store& store, LiveDisk& disk, const LockHolder& holder) {
  TRY_ASSIGN(auto server, ControlClient::connect(store.path(), holder));
  TRY_ASSIGN(auto status, ask(*server, disk.name, ControlOperation::kStatus));
  TRY_ASSIGN(auto stats, ask(*server, disk.name, ControlOperation::kStats));
  if (status.status) disk.status = *status.status;
  disk.stats = std::move(stats.stats);
  disk.state = "served";
  return {};
}

LiveDisk look_at(Store& store, const DiskSummary& summary) {
  LiveDisk disk;
  disk.name = summary.name;
  disk.state = state_word(summary);
  disk.status.size_bytes = summary.head.size_bytes;
  disk.status.frozen_count = summary.head.generations.size() - (summary.head.active ? 1 : 0);
  disk.status.active_bytes = summary.dirty_bytes;  // the catalog does not tell them apart
  disk.status.pending = pending_names(summary.head);
  if (!summary.holder) return disk;
  disk.pid = summary.holder->pid;
  if (summary.holder->note.empty() || summary.holder->note == kStartingNote) return disk;
  auto asked = add_what_the_server_says(store, disk, *summary.holder);
  if (!asked.ok()) disk.status.failure = describe(asked.error());
  return disk;
}

Json json_of(const LiveDisk& disk) {
  const DiskStatus& status = disk.status;
  Json requests = Json::object();
  for (const RequestStats& kind : disk.stats) {
    requests[kind.kind] = {{"count", kind.count},
                           {"bytes", kind.bytes},
                           {"error_count", kind.error_count},
                           {"longest_us", kind.longest_us}};
  }
  return {{"name", disk.name},
          {"state", disk.state},
          {"pid", disk.pid ? Json(*disk.pid) : Json(nullptr)},
          {"client_count", status.client_count},
          {"size_bytes", status.size_bytes},
          {"dirty_bytes", status.active_bytes + status.frozen_bytes},
          {"frozen_count", status.frozen_count},
          {"frozen_bytes", status.frozen_bytes},
          {"pending", status.pending},
          {"sealing", status.sealing},
          {"sealed_bytes", status.sealed_bytes},
          {"failure", status.failure.empty() ? Json(nullptr) : Json(status.failure)},
          {"requests", std::move(requests)}};
}

std::string sealing_text(const DiskStatus& status) {
  if (!status.failure.empty()) return "fails";
  if (!status.sealing) return status.frozen_count > 0 || !status.pending.empty() ? "waits" : "-";
  return human_bytes(status.sealed_bytes) + " done";
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text.empty() ? "none" : text;
}

std::string one_text(const LiveDisk& disk) {
  const DiskStatus& status = disk.status;
  std::string text;
  auto line = [&](const char* key, const std::string& value) {
    text += fmt::format("{:<13}{}\n", key, value);
  };
  line("disk", disk.name);
  line("state", disk.pid ? fmt::format("{} by pid {}", disk.state, *disk.pid) : disk.state);
  line("clients", std::to_string(status.client_count));
  line("size", human_bytes(status.size_bytes));
  line("dirty", human_bytes(status.active_bytes + status.frozen_bytes));
  line("frozen", fmt::format("{} in {}", human_bytes(status.frozen_bytes),
                             plural(status.frozen_count, "generation")));
  line("pending", joined(status.pending));
  line("sealing", sealing_text(status));
  if (!status.failure.empty()) line("failure", status.failure);
  if (disk.stats.empty()) return text;
  std::vector<std::vector<std::string>> rows = {
      {"REQUESTS", ">COUNT", ">BYTES", ">ERRORS", ">LONGEST"}};
  for (const RequestStats& kind : disk.stats) {
    rows.push_back({kind.kind, std::to_string(kind.count), human_bytes(kind.bytes),
                    std::to_string(kind.error_count),
                    fmt::format("{:.3f} ms", double(kind.longest_us) / 1000)});
  }
  return text + "\n" + table_text(rows);
}

std::string table_of(const std::vector<LiveDisk>& disks) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "STATE", "PID", ">CLIENTS", ">SIZE", ">DIRTY", ">FROZEN", ">PENDING", "SEALING"}};
  for (const LiveDisk& disk : disks) {
    const DiskStatus& status = disk.status;
    rows.push_back({disk.name, disk.state, disk.pid ? std::to_string(*disk.pid) : "-",
                    std::to_string(status.client_count), human_bytes(status.size_bytes),
                    human_bytes(status.active_bytes + status.frozen_bytes),
                    std::to_string(status.frozen_count), std::to_string(status.pending.size()),
                    sealing_text(status)});
  }
  return table_text(rows);
}

}  // namespace

Syntax status_syntax() {
  return {
      .positionals = {{"DISK", false}},
      .about =
          "Shows who serves the disks, or one disk, with how many clients, what is written and\n"
          "not sealed yet and how that goes; of one disk also its requests since it was opened.",
      .examples = "  casdisk status\n  casdisk status web --json | jq .requests.write\n"};
}

Result<int> run_status(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(Store * store, session.store());
  if (arguments.positional_count() > 0) {
    TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
    TRY_ASSIGN(DiskSummary summary, summarize_disk(*store, name));
    const LiveDisk disk = look_at(*store, summary);
    session.console().answer(one_text(disk), json_of(disk));
    return 0;
  }
  TRY_ASSIGN(auto summaries, summarize_disks(*store));
  std::vector<LiveDisk> disks;
  Json list = Json::array();
  for (const DiskSummary& summary : summaries) {
    disks.push_back(look_at(*store, summary));
    list.push_back(json_of(disks.back()));
  }
  session.console().answer(
      disks.empty() ? "no disks yet; `casdisk import --help` makes one\n" : table_of(disks),
      {{"disks", std::move(list)}});
  return 0;
}

}  // namespace casdisk
