// casdisk gc, prune
#include <fmt/format.h>

#include "cas/os/thread_priority.h"
#include "index/garbage_collection.h"
#include "index/gc_explain.h"
#include "index/retention.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"

namespace casdisk {
namespace {

const char* kind_word(RootKind kind) {
  switch (kind) {
    case RootKind::kDisk:
      return "disk";
    case RootKind::kCheckpoint:
      return "checkpoint";
    case RootKind::kFallback:
      return "fallback";
    case RootKind::kView:
      return "open";
  }
  return "";
}

Json report_json(const GcReport& report) {
  return {{"object_count", report.object_count},
          {"live_count", report.live_count},
          {"pack_count", report.pack_count},
          {"stored_bytes", report.stored_bytes},
          {"garbage_bytes", report.garbage_bytes},
          {"collectable_pack_count", report.chosen_count},
          {"collectable_bytes", report.collectable_bytes}};
}

std::string found_text(const GcReport& report) {
  return fmt::format(
      "{} in {} packs, {} of it garbage; {} of {} objects are in use\n"
      "collecting {} packs gives back {}\n",
      human_bytes(report.stored_bytes), report.pack_count, human_bytes(report.garbage_bytes),
      report.live_count, report.object_count, report.chosen_count,
      human_bytes(report.collectable_bytes));
}

// What a new home for the living took is not given back.
uint64_t net_bytes(const CollectorOutcome& done) {
  return done.freed_bytes > done.moved_bytes ? done.freed_bytes - done.moved_bytes : 0;
}

std::string done_text(const GcReport& report) {
  const CollectorOutcome& done = report.done;
  return fmt::format("freed {}: {} packs of {} deleted, {} in use moved out of them\n",
                     human_bytes(net_bytes(done)), done.pack_count, human_bytes(done.freed_bytes),
                     human_bytes(done.moved_bytes));
}

// The first failure is the command's; the others are told.
Result<int> finish_gc(Session& session, const GcReport& report, Json json) {
  const CollectorOutcome& done = report.done;
  json["freed_bytes"] = net_bytes(done);
  json["deleted_pack_count"] = done.pack_count;
  json["deleted_bytes"] = done.freed_bytes;
  json["moved_bytes"] = done.moved_bytes;
  json["failed_pack_count"] = done.failures.size();
  if (done.no_room) {
    if (done.pack_count == 0) return *done.no_room;
    session.console().note("no room to move what is in use out of more packs: " +
                           describe(*done.no_room));
  }
  if (done.failures.empty()) {
    session.console().answer(done_text(report), json);
    return 0;
  }
  if (!session.console().is_json()) session.console().note(done_text(report));
  for (size_t i = 1; i < done.failures.size(); i++) {
    session.console().note(describe(done.failures[i]));
  }
  Error error = done.failures.front();
  error.context = fmt::format(
      "{} packs stay because of objects in them that are needed and cannot be read; see `casdisk "
      "verify --help`. {}",
      done.failures.size(), error.context);
  return error;
}

Result<int> explain(Session& session, Store& store, const GcOptions& options) {
  std::optional<Explanation> explanation;
  std::optional<GcReport> report;
  {
    ProgressBar bar("explain", std::nullopt, session.progress());
    TRY_ASSIGN(explanation, explain_store(store, options.stop));
    TRY_ASSIGN(report, look_for_garbage(store, options));
  }
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "KIND", ">ALONE", ">SHARED", ">PLAIN ALONE", ">PLAIN SHARED"}};
  Json list = Json::array();
  for (const Pinned& each : explanation->pinned) {
    rows.push_back({each.name, kind_word(each.kind), human_bytes(each.alone.stored),
                    human_bytes(each.shared.stored), human_bytes(each.alone.plain),
                    human_bytes(each.shared.plain)});
    list.push_back({{"name", each.name},
                    {"kind", kind_word(each.kind)},
                    {"alone_bytes", each.alone.stored},
                    {"shared_bytes", each.shared.stored},
                    {"alone_plain_bytes", each.alone.plain},
                    {"shared_plain_bytes", each.shared.plain}});
  }
  Json json = report_json(*report);
  json["shared_bytes"] = explanation->shared.stored;
  json["shared_plain_bytes"] = explanation->shared.plain;
  json["link_bytes"] = explanation->links.stored;
  json["pinned"] = std::move(list);
  session.console().answer(
      fmt::format("{}\nshared by several: {}, each object once\n{}", table_text(rows),
                  human_bytes(explanation->shared.stored), found_text(*report)),
      json);
  return 0;
}

}  // namespace

Syntax gc_syntax() {
  return {
      .options = {{"dry-run", "", "say what would be given back, and change nothing"},
                  {"explain", "",
                   "say what each disk and checkpoint keeps alone and what it shares, and\n"
                   "change nothing"},
                  {"min-garbage", "PCT",
                   "leave packs alone that have less garbage than this (20); those that are\n"
                   "nothing else always go"}},
      .about =
          "Gives back the space of what no disk and no checkpoint has any more: after rm, "
          "rollback,\n"
          "overwriting and trims that are sealed. Guests and other commands go on; what is being\n"
          "imported or sealed is waited for. It may be interrupted at any time, and begun anew.",
      .exit_codes =
          "  3 when something that is needed cannot be read: see `casdisk verify`\n"
          "  4 when another gc is running\n",
      .examples = "  casdisk gc\n  casdisk gc --dry-run --json\n  casdisk gc --explain\n"};
}

Result<int> run_gc(Session& session, const Arguments& arguments) {
  GcOptions options;
  TRY_ASSIGN(auto min_garbage, arguments.number("min-garbage", 0, 100));
  options.min_garbage_percent = unsigned(min_garbage.value_or(options.min_garbage_percent));
  options.stop = stop_requested;
  options.note = [&](const std::string& line) { session.console().note(line); };
  TRY_ASSIGN(Store * store, session.store());
  stop_on_signals();
  give_way_to_others();
  if (arguments.has("explain")) return explain(session, *store, options);
  std::optional<GcReport> report;
  {
    ProgressBar bar("gc", std::nullopt, session.progress());
    options.progress = [&](uint64_t bytes) { bar.set(bytes); };
    if (arguments.has("dry-run")) {
      TRY_ASSIGN(report, look_for_garbage(*store, options));
    } else {
      TRY_ASSIGN(report, collect_garbage(*store, options));
    }
  }
  Json json = report_json(*report);
  if (!arguments.has("dry-run")) return finish_gc(session, *report, std::move(json));
  session.console().answer(found_text(*report), json);
  return 0;
}

namespace {

Result<RetentionRules> rules_of(const Arguments& arguments) {
  RetentionRules rules;
  constexpr uint64_t kMost = 1'000'000;
  TRY_ASSIGN(rules.last, arguments.number("keep-last", 0, kMost));
  TRY_ASSIGN(rules.hourly, arguments.number("keep-hourly", 0, kMost));
  TRY_ASSIGN(rules.daily, arguments.number("keep-daily", 0, kMost));
  TRY_ASSIGN(rules.weekly, arguments.number("keep-weekly", 0, kMost));
  TRY_ASSIGN(rules.monthly, arguments.number("keep-monthly", 0, kMost));
  TRY_ASSIGN(rules.yearly, arguments.number("keep-yearly", 0, kMost));
  for (const std::string& text : arguments.texts("keep-label")) {
    const size_t equals = text.find('=');
    if (equals == text.npos || equals == 0) {
      return Error{Fault::kInvalid, 0, fmt::format("--keep-label {:?}: KEY=VALUE is wanted", text)};
    }
    rules.labels.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  if (!rules.is_empty()) return rules;
  return Error{Fault::kInvalid, 0,
               "prune: say what to keep, such as --keep-last 10 or --keep-daily 7"};
}

}  // namespace

Syntax prune_syntax() {
  return {
      .positionals = {{"DISK"}},
      .options = {{"keep-last", "N", "the N newest"},
                  {"keep-hourly", "N", "the newest of each of the last N hours that have any"},
                  {"keep-daily", "N", "the same of days"},
                  {"keep-weekly", "N", "of weeks, from Monday"},
                  {"keep-monthly", "N", "of months"},
                  {"keep-yearly", "N", "of years"},
                  {"keep-label", "KEY=VALUE", "all that have this label", true},
                  {"dry-run", "", "say what would go, and change nothing"}},
      .about =
          "Removes the checkpoints of DISK that no rule keeps; at least one rule is needed. Hours "
          "and\n"
          "days are those of UTC. Forks of a checkpoint keep what they have; what is not sealed "
          "yet\n"
          "stays. `casdisk gc` then gives the space back.",
      .examples = "  casdisk prune web --keep-last 10 --keep-daily 7 --keep-weekly 4 --dry-run\n"};
}

Result<int> run_prune(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string disk, disk_name(arguments.positional(0)));
  TRY_ASSIGN(const RetentionRules rules, rules_of(arguments));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto candidates, retention_candidates(*store, disk));
  const auto verdicts = retained(std::move(candidates), rules);
  std::vector<std::vector<std::string>> rows = {{"CHECKPOINT", "TIME", "KEPT BY"}};
  std::vector<RetentionCandidate> going;
  Json list = Json::array();
  for (const RetentionVerdict& verdict : verdicts) {
    const std::string name = disk + "@" + verdict.checkpoint.name;
    rows.push_back(
        {name, utc_text(verdict.checkpoint.time_ns),
         verdict.kept_by.empty() ? "-" : fmt::format("{}", fmt::join(verdict.kept_by, ", "))});
    list.push_back({{"name", name},
                    {"time", utc_text(verdict.checkpoint.time_ns)},
                    {"kept_by", verdict.kept_by}});
    if (verdict.kept_by.empty()) going.push_back(verdict.checkpoint);
  }
  const bool dry_run = arguments.has("dry-run");
  uint64_t removed_count = 0;
  if (!dry_run && !going.empty()) {
    TRY_ASSIGN(removed_count, remove_checkpoints(*store, disk, going));
  }
  std::string text = table_text(rows);
  text += dry_run ? fmt::format("{} of {} would go\n", going.size(), verdicts.size())
                  : fmt::format("removed {} of {}{}\n", removed_count, verdicts.size(),
                                removed_count > 0 ? "; `casdisk gc` gives their space back" : "");
  session.console().answer(text, {{"disk", disk},
                                  {"dry_run", dry_run},
                                  {"removed_count", removed_count},
                                  {"checkpoints", std::move(list)}});
  return 0;
}

}  // namespace casdisk
