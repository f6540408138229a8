#include "index/records.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "index/name_rules.h"
#include "index/names.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

HeadRecord sample_head() {
  HeadRecord head;
  head.uid = 7;
  head.version = 3;
  head.size_bytes = 12345;
  head.root = Entry::of(made_up_id(1));
  head.parent = made_up_id(2);
  head.fallback = FallbackUse{made_up_id(3), 999};
  head.created_ns = -5;
  head.next_generation = 9;
  head.generations = {{6, 12345}, {8, 12345}};
  head.active = true;
  head.pending = {{"a", 6, 77, 5, true, {{"k", "v"}}, {{"vm", 9, Entry::of(made_up_id(5))}}},
                  {"b", 6, 78}};
  return head;
}

CheckpointRecord sample_checkpoint() {
  CheckpointRecord record;
  record.root = Entry::zero();
  record.size_bytes = 65536;
  record.parent = made_up_id(4);
  record.time_ns = 1'000'000'007;
  record.disk = "d";
  record.name = "c";
  record.labels = {{"job", "17"}, {"empty", ""}};
  record.attachments = {{"vmstate", 77, Entry::of(made_up_id(6))}};
  return record;
}

// Whatever is cut off, added or flipped is refused or another valid record, never a crash.
template <typename Decode>
void torture(const Bytes& good, Decode decode) {
  for (size_t length = 0; length < good.size(); length++) {
    EXPECT_FAULT(decode(std::span(good).first(length)), Fault::kDamaged);
  }
  Bytes longer = good;
  longer.push_back(std::byte(0));
  EXPECT_FAULT(decode(longer), Fault::kDamaged);
  for (size_t bit = 0; bit < good.size() * 8; bit++) {
    Bytes bad = good;
    bad[bit / 8] ^= std::byte(1 << (bit % 8));
    auto decoded = decode(bad);
    EXPECT_TRUE(!decoded.ok() || encode(decoded.value()) == bad) << bit;
  }
}

TEST(Records, HeadsComeBack) {
  Bytes bytes = encode(sample_head());
  auto decoded = decode_head(bytes);
  ASSERT_OK(decoded);
  EXPECT_EQ(encode(decoded.value()), bytes);
  EXPECT_EQ(decoded.value().generations, sample_head().generations);
  EXPECT_EQ(decoded.value().pending[1].name, "b");
  EXPECT_EQ(decoded.value().fallback, sample_head().fallback);
}

TEST(Records, CheckpointsComeBackAndTheirIdIsTheirContent) {
  Bytes bytes = encode(sample_checkpoint());
  auto decoded = decode_checkpoint(bytes);
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded.value().labels, sample_checkpoint().labels);
  EXPECT_EQ(hash_of(encode(decoded.value())), hash_of(bytes));
}

TEST(Records, FallbacksComeBackAndTheTableIsNoPartOfTheirId) {
  FallbackRecord record{"/a/b", {1, 2, 3, -4}, Entry::absent()};
  FallbackId id = record.id();
  record.table_root = Entry::of(made_up_id(9));
  EXPECT_EQ(record.id(), id);
  auto decoded = decode_fallback(encode(record));
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded.value().identity, record.identity);
  EXPECT_EQ(decoded.value().path, "/a/b");
  record.identity.mtime_ns++;
  EXPECT_NE(record.id(), id);
}

std::string hex_of(const Bytes& bytes) {
  std::string text;
  for (std::byte byte : bytes) text += fmt::format("{:02x}", unsigned(byte));
  return text;
}

// The example of docs/FORMAT.md.
TEST(Records, GoldenBytes) {
  const std::string no_id(64, '0'),
      id_1 = "0101010101010101010101010101010101010101010101010101010101010101";
  CheckpointRecord record;
  record.root = Entry::of(made_up_id(1));
  record.size_bytes = 65536;
  record.time_ns = 7;
  record.disk = "d";
  record.name = "c";
  record.labels = {{"k", "v"}};
  record.attachments = {{"m", 9, Entry::absent()}};
  EXPECT_EQ(hex_of(encode(record)),
            "01"
            "02" +
                id_1 +
                "0000010000000000"
                "00" +
                no_id + "00" + no_id +
                "0000000000000000"
                "0700000000000000"
                "010064"
                "010063"
                "01000000"
                "01006b"
                "010076"
                "01000000"
                "01006d"
                "0900000000000000"
                "00" +
                no_id);
  HeadRecord head;
  head.uid = 3;
  head.version = 4;
  head.size_bytes = 65536;
  head.next_generation = 9;
  head.generations = {{8, 65536}};
  head.active = true;
  head.pending = {{"c", 7, 5, 6, true, {}, {}}};
  EXPECT_EQ(hex_of(encode(head)),
            "01"
            "0300000000000000"
            "0400000000000000"
            "0000010000000000"
            "00" +
                no_id + "00" + no_id + "00" + no_id +
                "0000000000000000"
                "0000000000000000"
                "0900000000000000"
                "01"
                "00"
                "01000000"
                "0800000000000000"
                "0000010000000000"
                "01000000"
                "0700000000000000"
                "0500000000000000"
                "010063"
                "0600000000000000"
                "01"
                "00000000"
                "00000000"
                "00"
                "0000000000000000"
                "0000000000000000");
}

TEST(Records, DamageIsRefused) {
  torture(encode(sample_head()), [](auto bytes) { return decode_head(bytes); });
  torture(encode(sample_checkpoint()), [](auto bytes) { return decode_checkpoint(bytes); });
  torture(encode(FallbackRecord{"/a/b", {1, 2, 3, 4}, Entry::zero()}),
          [](auto bytes) { return decode_fallback(bytes); });
}

TEST(Records, WhatNoHeadCanBeIsRefused) {
  auto refused = [](auto change) {
    HeadRecord head = sample_head();
    change(head);
    return fails_with(decode_head(encode(head)), Fault::kDamaged);
  };
  EXPECT_TRUE(refused([](HeadRecord& head) { head.size_bytes = 0; }));
  EXPECT_TRUE(refused([](HeadRecord& head) { head.size_bytes = UINT64_MAX; }));
  EXPECT_TRUE(refused([](HeadRecord& head) { head.generations = {{8, 1}, {6, 1}}; }));
  EXPECT_TRUE(refused([](HeadRecord& head) { head.generations.clear(); }));
  EXPECT_TRUE(refused([](HeadRecord& head) { head.pending[0].generation = 7; }));
  EXPECT_TRUE(refused([](HeadRecord& head) { head.fallback->limit_bytes = 0; }));
}

TEST(Names, RulesAreEnforced) {
  EXPECT_OK(check_name("debian-12.5_a:b+c", "disk"));
  for (const char* bad :
       {"", ".", "..", "../x", "a/b", "a b", "-a", "@", "a@b", "a\n", "\xc3\xa4"}) {
    EXPECT_FAULT(check_name(bad, "disk"), Fault::kInvalid) << bad;
  }
  EXPECT_OK(check_new_checkpoint_name("cdt"));
  EXPECT_FAULT(check_new_checkpoint_name("cdt_1"), Fault::kInvalid);
  EXPECT_FAULT(check_new_checkpoint_name("a b"), Fault::kInvalid);
  EXPECT_OK(check_name("cdt_1", "checkpoint")) << "there may be one";
  EXPECT_OK(check_name(std::string(kMaxNameBytes, 'x'), "disk"));
  EXPECT_FAULT(check_name(std::string(kMaxNameBytes + 1, 'x'), "disk"), Fault::kInvalid);
}

TEST(Names, VolumeNamesSplitAtTheAt) {
  auto name = parse_volume_name("d@c");
  ASSERT_OK(name);
  EXPECT_EQ(name.value().disk, "d");
  EXPECT_EQ(name.value().checkpoint, "c");
  EXPECT_EQ(name.value().text(), "d@c");
  ASSERT_OK(parse_volume_name("d"));
  EXPECT_FALSE(parse_volume_name("d").value().is_checkpoint());
  EXPECT_FAULT(parse_volume_name("d@"), Fault::kInvalid);
  EXPECT_FAULT(parse_volume_name("@c"), Fault::kInvalid);
  EXPECT_FAULT(parse_volume_name("a@b@c"), Fault::kInvalid);
}

}  // namespace
}  // namespace casdisk
