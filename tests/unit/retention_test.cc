#include "index/retention.h"

#include <gtest/gtest.h>

#include "index/lineage.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kFriday = 1'767'312'000 * kSecond;  // 2026-01-02T00:00:00Z

std::string kept(const std::vector<RetentionCandidate>& candidates, const RetentionRules& rules) {
  std::string text;
  for (const RetentionVerdict& verdict : retained(candidates, rules)) {
    if (verdict.kept_by.empty()) continue;
    text += (text.empty() ? "" : " ") + verdict.checkpoint.name;
    for (const std::string& rule : verdict.kept_by) text += ":" + rule;
  }
  return text;
}

RetentionRules only(std::optional<uint64_t> RetentionRules::*rule, uint64_t count) {
  RetentionRules rules;
  rules.*rule = count;
  return rules;
}

TEST(Retention, KeepsTheNewestOfEachOfTheLastBuckets) {
  const std::vector<RetentionCandidate> candidates = {
      {"old", {}, kFriday - 400 * kDay, {}},
      {"sunday", {}, kFriday - 5 * kDay, {}},               // another week
      {"newyearseve", {}, kFriday - 2 * kDay + kHour, {}},  // same week as friday, another year
      {"midnight", {}, kFriday - 1, {}},
      {"friday", {}, kFriday, {}},
      {"friday-late", {}, kFriday + 30 * 60 * kSecond, {{"keep", "1"}}},
      {"friday-noon", {}, kFriday + 12 * kHour, {}},
  };
  EXPECT_EQ(kept(candidates, only(&RetentionRules::last, 2)), "friday-noon:last friday-late:last");
  EXPECT_EQ(kept(candidates, only(&RetentionRules::hourly, 3)),
            "friday-noon:hourly friday-late:hourly midnight:hourly");
  EXPECT_EQ(kept(candidates, only(&RetentionRules::daily, 2)), "friday-noon:daily midnight:daily");
  EXPECT_EQ(kept(candidates, only(&RetentionRules::weekly, 2)), "friday-noon:weekly sunday:weekly");
  EXPECT_EQ(kept(candidates, only(&RetentionRules::monthly, 2)),
            "friday-noon:monthly newyearseve:monthly");
  EXPECT_EQ(kept(candidates, only(&RetentionRules::yearly, 9)),
            "friday-noon:yearly newyearseve:yearly old:yearly");
  EXPECT_EQ(kept(candidates, only(&RetentionRules::last, 0)), "");
  RetentionRules both = only(&RetentionRules::last, 1);
  both.daily = 1;
  both.labels = {{"keep", "1"}, {"other", "1"}};
  EXPECT_EQ(kept(candidates, both), "friday-noon:last:daily friday-late:label keep=1");
}

TEST(Retention, TimesBefore1970AndEqualOnesHaveTheirOrder) {
  const std::vector<RetentionCandidate> candidates = {
      {"a", {}, -1, {}}, {"b", {}, 0, {}}, {"c", {}, 0, {}}};
  EXPECT_EQ(kept(candidates, only(&RetentionRules::daily, 5)), "c:daily a:daily");
}

TEST(Retention, RemovesOnlyWhatStillIsWhatItWas) {
  TestStore store;
  must(create_disk(*store, "d", CreateOptions{kChunkBytes, {}}));
  for (const char* name : {"a", "b"}) {
    must(checkpoint_disk(*store, "d", {name, {}, {}}, 1, no_progress));
  }
  auto candidates = must(retention_candidates(*store, "d"));
  ASSERT_EQ(candidates.size(), 2u);
  must(remove_checkpoint(*store, {"d", "a"}));
  must(checkpoint_disk(*store, "d", {"a", {}, {}}, 1, no_progress));
  EXPECT_EQ(must(remove_checkpoints(*store, "d", candidates)), 1u);
  candidates = must(retention_candidates(*store, "d"));
  ASSERT_EQ(candidates.size(), 1u);
  EXPECT_EQ(candidates[0].name, "a");
  EXPECT_FAULT(retention_candidates(*store, "none"), Fault::kNotFound);
}

}  // namespace
}  // namespace casdisk
