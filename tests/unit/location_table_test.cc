#include "cas/location_table.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

constexpr uint64_t kMapBytes = 16 << 20;

SystemMachine machine;

std::unique_ptr<LocationTable> open(const TemporaryDirectory& directory) {
  auto table = LocationTable::open(machine, directory.path(), {kMapBytes});
  EXPECT_OK(table);
  return table.ok() ? std::move(table).value() : nullptr;
}

const ChunkId kId = hash_of(as_bytes("it"));
const PackLocation kHere{7, 64, 1000};
const PackLocation kThere{8, 4096, 900};

TEST(LocationTable, EntersAllAndReplaces) {
  TemporaryDirectory directory;
  auto table = open(directory);
  EXPECT_FALSE(table->lookup(kId).value());
  std::vector<LocatedObject> batch;
  for (uint64_t i = 0; i < 100; i++) {
    batch.push_back({hash_of(random_bytes(i, 8)), {1, 64 + i * 100, 100}});
  }
  batch.push_back({kId, kHere});
  ASSERT_OK(table->enter(batch));
  for (const LocatedObject& object : batch) {
    auto entry = table->lookup(object.id);
    ASSERT_OK(entry);
    ASSERT_TRUE(entry.value());
    EXPECT_EQ(entry.value()->location, object.location);
    EXPECT_FALSE(entry.value()->damaged);
  }
  const LocatedObject moved[] = {{kId, kThere}};
  ASSERT_OK(table->enter(moved));
  EXPECT_EQ(table->lookup(kId).value()->location, kThere);
}

TEST(LocationTable, DamageIsRememberedUntilReplaced) {
  TemporaryDirectory directory;
  auto table = open(directory);
  const LocatedObject here[] = {{kId, kHere}};
  ASSERT_OK(table->enter(here));
  table->flag_damaged(kId, kThere);  // another copy: not this one's business
  EXPECT_FALSE(table->lookup(kId).value()->damaged);
  table->flag_damaged(kId, kHere);
  EXPECT_TRUE(table->lookup(kId).value()->damaged);
  table.reset();
  table = open(directory);
  EXPECT_TRUE(table->lookup(kId).value()->damaged);
  EXPECT_EQ(table->lookup(kId).value()->location, kHere);
  const LocatedObject there[] = {{kId, kThere}};
  ASSERT_OK(table->enter(there));
  EXPECT_FALSE(table->lookup(kId).value()->damaged);
}

TEST(LocationTable, PackIdsAreNeverUsedAgain) {
  TemporaryDirectory directory;
  uint64_t last = 0;
  for (int i = 0; i < 2; i++) {
    auto table = open(directory);
    for (int j = 0; j < 3; j++) {
      auto pack = table->allocate_pack();
      ASSERT_OK(pack);
      EXPECT_GT(pack.value(), last);
      last = pack.value();
    }
  }
}

TEST(LocationTable, StoreIdIsRandomAndStays) {
  TemporaryDirectory directory;
  TemporaryDirectory other;
  const StoreId id = open(directory)->store_id();
  EXPECT_NE(id, StoreId{});
  EXPECT_EQ(open(directory)->store_id(), id);
  EXPECT_NE(open(other)->store_id(), id);
}

// Writes a raw value into the table's environment.
void write_raw(const TemporaryDirectory& directory, std::span<const std::byte> key,
               std::span<const std::byte> value) {
  auto environment = LmdbEnvironment::open(directory.path(), {.map_bytes = kMapBytes});
  ASSERT_OK(environment);
  ASSERT_OK(
      environment.value()->update([&](LmdbWriter& writer) { return writer.put(key, value); }));
}

TEST(LocationTable, ImpossibleValuesAreDamage) {
  TemporaryDirectory directory;
  auto table = open(directory);
  const Bytes key = ByteWriter().number(uint8_t('L')).raw(kId.bytes).take();
  const auto value = [](uint64_t offset, uint32_t record_bytes) {
    return ByteWriter()
        .number(uint64_t(1))
        .number(offset)
        .number(record_bytes)
        .number(uint8_t(0))
        .take();
  };
  write_raw(directory, key, value(64, 100));
  EXPECT_OK(table->lookup(kId));
  for (const Bytes& wrong : {value(64, 0xffffffff), value(64, 51), value(~uint64_t(0), 100),
                             Bytes(20), Bytes(22), Bytes()}) {
    write_raw(directory, key, wrong);
    auto entry = table->lookup(kId);
    ASSERT_FAULT(entry, Fault::kDamaged);
    EXPECT_NE(entry.error().context.find(to_hex(kId)), std::string::npos);
  }
}

TEST(LocationTable, RefusesAnUnknownVersion) {
  TemporaryDirectory directory;
  open(directory);
  write_raw(directory, as_bytes("V"), ByteWriter().number(uint32_t(2)).take());
  EXPECT_FAULT(LocationTable::open(machine, directory.path(), {kMapBytes}), Fault::kUnsupported);
}

TEST(LocationTable, CountsObjectsAndNothingElse) {
  TemporaryDirectory directory;
  auto table = open(directory);
  EXPECT_EQ(table->object_count().value(), 0u);
  const LocatedObject objects[] = {{kId, kHere}, {hash_of(as_bytes("other")), kThere}};
  ASSERT_OK(table->enter(objects));
  ASSERT_OK(table->allocate_pack());
  ASSERT_OK(table->enter(objects));
  EXPECT_EQ(table->object_count().value(), 2u);
}

}  // namespace
}  // namespace casdisk
