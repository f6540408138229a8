// casdisk kv stats, truncate, is-stale, sweep, compact
#include <fmt/format.h>

#include "nbd/cli/exit.h"
#include "nbd/cli/format.h"
#include "nbd/cli/kv_commands.h"
#include "nbd/cli/kv_session.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

struct CapabilityName {
  KvCapability capability;
  const char* name;
};
constexpr CapabilityName kCapabilityNames[] = {
    {KvCapability::kVersions, "versions"},
    {KvCapability::kBatch, "batches"},
    {KvCapability::kTtl, "ttl"},
    {KvCapability::kAppend, "append"},
    {KvCapability::kLoad, "load"},
    {KvCapability::kStale, "stale"},
    {KvCapability::kSnapshot, "snapshot"},
    {KvCapability::kCompact, "compact"},
    {KvCapability::kDurable, "durable"},
    {KvCapability::kShared, "shared"},
    {KvCapability::kServerClock, "server-clock"},
};

std::vector<std::string> capability_names(KvCapabilities capabilities) {
  std::vector<std::string> names;
  for (const CapabilityName& each : kCapabilityNames) {
    if (capabilities.has(each.capability)) names.emplace_back(each.name);
  }
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "nothing more" : text;
}

std::string row(std::string_view name, std::string_view value) {
  return fmt::format("{:<10}{}\n", name, value);
}

std::string stats_text(const KvStore& store, const KvStats& stats) {
  const KvLimits& limits = store.limits();
  const bool has_batches = store.capabilities().has(KvCapability::kBatch);
  std::string text = row("store", store.name());
  text += row("records", limits.record_count == 0
                             ? std::to_string(stats.record_count)
                             : fmt::format("{}, of {} distinct keys at most", stats.record_count,
                                           limits.record_count));
  if (stats.used_bytes != 0 || stats.capacity_bytes != 0) {
    std::string used = human_bytes(stats.used_bytes);
    if (stats.capacity_bytes != 0) used += " of " + human_bytes(stats.capacity_bytes);
    text += row("used", used);
  }
  text += row("keys", fmt::format("1 to {} bytes{}", limits.key_bytes,
                                  limits.is_text ? ", without NUL" : ""));
  text += row("values", fmt::format("up to {}", human_bytes(limits.value_bytes)));
  if (has_batches) {
    text += row("batches", fmt::format("up to {} operations, {}", limits.operation_count,
                                       human_bytes(limits.write_bytes)));
  }
  text += row("can", joined(capability_names(store.capabilities())));
  for (const auto& [name, value] : stats.more) text += fmt::format("{}: {}\n", name, value);
  return text;
}

Json number_or_null(uint64_t number) { return number == 0 ? Json() : Json(number); }

Json stats_json(const KvStore& store, const KvStats& stats) {
  const KvLimits& limits = store.limits();
  const bool has_batches = store.capabilities().has(KvCapability::kBatch);
  Json more = Json::object();
  for (const auto& [name, value] : stats.more) more[name] = value;
  return {{"store", store.name()},
          {"record_count", stats.record_count},
          {"used_bytes", number_or_null(stats.used_bytes)},
          {"capacity_bytes", number_or_null(stats.capacity_bytes)},
          {"limits",
           {{"key_bytes", limits.key_bytes},
            {"value_bytes", limits.value_bytes},
            {"batch_operation_count", has_batches ? Json(limits.operation_count) : Json()},
            {"batch_bytes", has_batches ? Json(limits.write_bytes) : Json()},
            {"key_count", number_or_null(limits.record_count)},
            {"text", limits.is_text}}},
          {"can", capability_names(store.capabilities())},
          {"more", std::move(more)}};
}

Result<std::unique_ptr<KvStore>> open_existing(Session& session, const Arguments& arguments,
                                               KvUse use = KvUse::kExisting) {
  return open_named_kv(session, arguments, arguments.positional(0), use);
}

}  // namespace

Syntax kv_stats_syntax() {
  return {.positionals = {{"URL"}},
          .options = {kKvTimingOption},
          .about =
              "Says which store it is, how much it holds and may hold, and what its kind can do.\n"
              "Records are counted as they are stored, duplicates and expired ones too.",
          .examples = "  casdisk kv stats hyperv:guest\n"};
}

Result<int> run_kv_stats(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_existing(session, arguments));
  TRY_ASSIGN(const KvStats stats, store->stats());
  session.console().answer(stats_text(*store, stats), stats_json(*store, stats));
  return kExitDone;
}

Syntax kv_truncate_syntax() {
  return {.positionals = {{"URL"}},
          .options = {{"if-stale", "",
                       "only if it was last written before the machine started; looked at\n"
                       "and done in one step"},
                      kKvCapacityOption,
                      kKvTimingOption},
          .about = "Removes every record. The store stays, empty.",
          .exit_codes = "  1 with --if-stale, when it is not stale; nothing is changed then\n",
          .examples = "  casdisk kv truncate hyperv:guest --if-stale\n"};
}

Result<int> run_kv_truncate(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_existing(session, arguments, KvUse::kToRemove));
  bool is_truncated = true;
  if (arguments.has("if-stale")) {
    TRY_ASSIGN(is_truncated, store->truncate_if_stale());
  } else if (auto done = store->truncate(); !done.ok()) {
    return with_capacity_hint(std::move(done.error()), *store);
  }
  session.console().answer(is_truncated ? "truncated\n" : "not stale\n",
                           {{"truncated", is_truncated}});
  return is_truncated ? kExitDone : kExitNo;
}

Syntax kv_is_stale_syntax() {
  return {
      .positionals = {{"URL"}},
      .options = {kKvTimingOption},
      .about =
          "Whether what is in the store was written before the machine started, and is perhaps of\n"
          "another life of it: a pool of Hyper-V that came with an image. Other kinds never are.",
      .exit_codes = "  1 when it is not stale\n",
      .examples = "  casdisk kv is-stale hyperv:guest && casdisk kv truncate hyperv:guest\n"};
}

Result<int> run_kv_is_stale(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_existing(session, arguments));
  TRY_ASSIGN(const bool is_stale, store->is_stale());
  session.console().answer(is_stale ? "stale\n" : "not stale\n", {{"stale", is_stale}});
  return is_stale ? kExitDone : kExitNo;
}

Syntax kv_sweep_syntax() {
  return {
      .positionals = {{"URL"}},
      .options = {kKvCapacityOption, kKvTimingOption},
      .about =
          "Removes the records that have expired, which nobody sees any more, and says how many.\n"
          "Some kinds do that by themselves.",
      .examples = "  casdisk kv sweep lmdb:/var/lib/app/kv\n"};
}

Result<int> run_kv_sweep(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_existing(session, arguments, KvUse::kToRemove));
  auto swept = store->sweep();
  if (!swept.ok()) return with_capacity_hint(std::move(swept.error()), *store);
  session.console().answer(plural(swept.value(), "record") + " removed that had expired\n",
                           {{"removed_count", swept.value()}});
  return kExitDone;
}

Syntax kv_compact_syntax() {
  return {.positionals = {{"URL"}},
          .options = {kKvTimingOption},
          .about =
              "Gives back to the file system what removed records took. For lmdb that needs room "
              "for a\n"
              "second file, and nobody else may have the store open.",
          .exit_codes = "  4 when another process has it open\n",
          .examples = "  casdisk kv compact lmdb:/var/lib/app/kv\n"};
}

Result<int> run_kv_compact(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_existing(session, arguments));
  TRY_ASSIGN(const KvStats before, store->stats());
  TRY(store->compact());
  TRY_ASSIGN(const KvStats after, store->stats());
  session.console().answer(fmt::format("{} before, {} now\n", human_bytes(before.used_bytes),
                                       human_bytes(after.used_bytes)),
                           {{"before_bytes", before.used_bytes}, {"used_bytes", after.used_bytes}});
  return kExitDone;
}

}  // namespace casdisk
