#include "index/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <set>
#include <tuple>

namespace casdisk {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

std::string bucket_of(int64_t time_ns, const char* format) {
  const auto seconds =
      time_t(time_ns >= 0 ? time_ns / kNsPerSecond : (time_ns - kNsPerSecond + 1) / kNsPerSecond);
  struct tm calendar = {};
  gmtime_r(&seconds, &calendar);
  char text[64];
  return {text, std::strftime(text, sizeof(text), format, &calendar)};
}

void keep_newest_of_each(std::vector<RetentionVerdict>& newest_first,
                         const std::optional<uint64_t>& count, const char* format,
                         const char* rule) {
  if (!count) return;
  std::set<std::string> seen;
  for (RetentionVerdict& verdict : newest_first) {
    if (seen.size() == *count) return;
    if (seen.insert(bucket_of(verdict.checkpoint.time_ns, format)).second) {
      verdict.kept_by.emplace_back(rule);
    }
  }
}

}  // namespace

std::vector<RetentionVerdict> retained(std::vector<RetentionCandidate> checkpoints,
                                       const RetentionRules& rules) {
  std::ranges::sort(checkpoints, [](const auto& a, const auto& b) {
    return std::tie(a.time_ns, a.name) > std::tie(b.time_ns, b.name);
  });
  std::vector<RetentionVerdict> verdicts;
  verdicts.reserve(checkpoints.size());
  for (RetentionCandidate& checkpoint : checkpoints) {
    verdicts.push_back({std::move(checkpoint), {}});
  }
  for (size_t i = 0; i < std::min<uint64_t>(rules.last.value_or(0), verdicts.size()); i++) {
    verdicts[i].kept_by.emplace_back("last");
  }
  keep_newest_of_each(verdicts, rules.hourly, "%Y-%m-%dT%H", "hourly");
  keep_newest_of_each(verdicts, rules.daily, "%Y-%m-%d", "daily");
  keep_newest_of_each(verdicts, rules.weekly, "%G-W%V", "weekly");
  keep_newest_of_each(verdicts, rules.monthly, "%Y-%m", "monthly");
  keep_newest_of_each(verdicts, rules.yearly, "%Y", "yearly");
  for (RetentionVerdict& verdict : verdicts) {
    for (const auto& label : rules.labels) {
      const Labels& has = verdict.checkpoint.labels;
      if (std::ranges::find(has, label) == has.end()) continue;
      verdict.kept_by.push_back(fmt::format("label {}={}", label.first, label.second));
    }
  }
  return verdicts;
}

Result<std::vector<RetentionCandidate>> retention_candidates(Store& store,
                                                             const std::string& disk) {
  std::vector<RetentionCandidate> candidates;
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(const HeadRecord head, reader.head(disk));
    TRY_ASSIGN(const auto named, reader.checkpoints(head.uid));
    for (const NamedCheckpoint& checkpoint : named) {
      TRY_ASSIGN(CheckpointRecord record, reader.checkpoint(checkpoint.id));
      candidates.push_back(
          {checkpoint.name, checkpoint.id, record.time_ns, std::move(record.labels)});
    }
    return {};
  }));
  return candidates;
}

Result<uint64_t> remove_checkpoints(Store& store, const std::string& disk,
                                    const std::vector<RetentionCandidate>& checkpoints) {
  uint64_t removed_count = 0;
  TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    removed_count = 0;
    TRY_ASSIGN(const HeadRecord head, writer.head(disk));
    for (const RetentionCandidate& checkpoint : checkpoints) {
      TRY_ASSIGN(auto id, writer.find_checkpoint(head.uid, checkpoint.name));
      if (id != checkpoint.id) continue;
      TRY(writer.remove_checkpoint_name(head.uid, checkpoint.name));
      removed_count++;
    }
    return {};
  }));
  return removed_count;
}

}  // namespace casdisk
