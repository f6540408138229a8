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

// Packs 1 to 8.
void allocate_packs(LocationTable& table) {
  for (int i = 0; i < 8; i++) EXPECT_OK(table.allocate_pack());
}

const ChunkId kId = hash_of(as_bytes("it"));
const PackLocation kHere{7, 64, 1000};
const PackLocation kThere{8, 4096, 900};

TEST(LocationTable, EntersAllAndReplaces) {
  TemporaryDirectory directory;
  auto table = open(directory);
  allocate_packs(*table);
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
  allocate_packs(*table);
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
  allocate_packs(*table);
  EXPECT_EQ(table->object_count().value(), 0u);
  ASSERT_OK(table->condemn({}));
  const LocatedObject objects[] = {{kId, kHere}, {hash_of(as_bytes("other")), kThere}};
  ASSERT_OK(table->enter(objects));
  ASSERT_OK(table->allocate_pack());
  ASSERT_OK(table->enter(objects));
  EXPECT_EQ(table->object_count().value(), 2u);
}

TEST(LocationTable, ACondemnedPackTakesNothingAndItsObjectsAreNotFoundToKeep) {
  TemporaryDirectory directory;
  auto table = open(directory);
  allocate_packs(*table);
  const LocatedObject here[] = {{kId, kHere}};
  EXPECT_TRUE(table->enter(here).value().empty());
  EXPECT_EQ(table->lookup_to_keep(kId).value(), kHere);
  const uint64_t packs[] = {kHere.pack};
  const auto generations = table->condemn(packs).value();
  EXPECT_EQ(generations.current, 1u);
  EXPECT_EQ(generations.oldest, 0u);
  EXPECT_FALSE(table->lookup_to_keep(kId).value());
  EXPECT_EQ(table->lookup(kId).value()->location, kHere);  // reads go on
  EXPECT_FALSE(table->takes_records(kHere.pack).value());
  // All or nothing.
  const ChunkId other = hash_of(as_bytes("other"));
  const LocatedObject both[] = {{other, kThere}, {hash_of(as_bytes("third")), kHere}};
  EXPECT_EQ(table->enter(both).value(), std::vector<uint64_t>{kHere.pack});
  EXPECT_FALSE(table->lookup(other).value());
  ASSERT_OK(table->pardon(packs));
  EXPECT_EQ(table->lookup_to_keep(kId).value(), kHere);
  EXPECT_TRUE(table->enter(both).value().empty());
}

TEST(LocationTable, APackThatIsGoneTakesNothing) {
  TemporaryDirectory directory;
  auto table = open(directory);
  allocate_packs(*table);
  const uint64_t packs[] = {kHere.pack};
  ASSERT_OK(table->condemn(packs));
  ASSERT_OK(table->remove_packs(packs));
  const LocatedObject here[] = {{kId, kHere}};
  EXPECT_EQ(table->enter(here).value(), std::vector<uint64_t>{kHere.pack});
  EXPECT_EQ(table->packs().value().size(), 7u);
  EXPECT_EQ(table->last_pack().value(), 8u);
  const uint64_t known[] = {kHere.pack, 20};
  ASSERT_OK(table->adopt_packs(known));
  EXPECT_TRUE(table->enter(here).value().empty());
  EXPECT_EQ(table->allocate_pack().value(), 21u);
}

TEST(LocationTable, MovesAndRemovesOnlyWhatStillLiesThere) {
  TemporaryDirectory directory;
  auto table = open(directory);
  allocate_packs(*table);
  const LocatedObject here[] = {{kId, kHere}};
  const LocatedObject there[] = {{kId, kThere}};
  ASSERT_OK(table->enter(here));
  ASSERT_OK(table->remove(there));
  const LocationTable::Move back[] = {{kId, kThere, kHere}};
  ASSERT_OK(table->move(back));
  EXPECT_EQ(table->lookup(kId).value()->location, kHere);
  const LocationTable::Move forth[] = {{kId, kHere, kThere}};
  ASSERT_OK(table->move(forth));
  EXPECT_EQ(table->lookup(kId).value()->location, kThere);
  ASSERT_OK(table->remove(there));
  EXPECT_FALSE(table->lookup(kId).value());
  ASSERT_OK(table->move(back));
  EXPECT_FALSE(table->lookup(kId).value());
}

TEST(LocationTable, GenerationsGoUpAndOldOnesEnd) {
  TemporaryDirectory directory;
  auto table = open(directory);
  EXPECT_EQ(table->generations().value().current, 0u);
  ASSERT_OK(table->condemn({}));
  ASSERT_OK(table->condemn({}));
  EXPECT_EQ(table->generations().value().oldest, 0u);
  ASSERT_OK(table->sessions_ended(1));
  ASSERT_OK(table->sessions_ended(0));
  EXPECT_EQ(table->generations().value().oldest, 1u);
  EXPECT_EQ(table->generations().value().current, 2u);
}

TEST(LocationTable, VisitsEveryEntryOnceBeyondASlice) {
  TemporaryDirectory directory;
  auto opened = LocationTable::open(machine, directory.path(), {uint64_t(256) << 20});
  ASSERT_OK(opened);
  auto table = std::move(opened).value();
  allocate_packs(*table);
  constexpr uint64_t kCount = 70000;
  std::vector<LocatedObject> batch;
  for (uint64_t i = 0; i < kCount; i++) {
    batch.push_back({hash_of(as_bytes(std::to_string(i))), {1, 64 + i * 100, 100}});
  }
  ASSERT_OK(table->enter(batch));
  uint64_t count = 0, offsets = 0;
  ASSERT_OK(table->for_each([&](const ChunkId&, const LocationTable::Entry& entry) -> Result<void> {
    count++;
    offsets += (entry.location.offset - 64) / 100;
    return {};
  }));
  EXPECT_EQ(count, kCount);
  EXPECT_EQ(offsets, kCount * (kCount - 1) / 2);
}

}  // namespace
}  // namespace casdisk
