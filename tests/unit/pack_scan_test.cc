#include "cas/pack_scan.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cas/os/posix_file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

constexpr uint64_t kPack = 7;

// A pack of a hundred raw chunks, 6 MiB: more than is read at once.
class PackScanTest : public testing::Test {
 protected:
  PackScanTest() {
    bytes_ = encode_pack_header({kPack, {}});
    for (uint64_t seed = 0; seed < 100; seed++) {
      const Bytes chunk = random_bytes(seed);
      const Bytes record =
          encode_record(ObjectKind::kChunk, hash_of(chunk), kChunkBytes, Codec::kNone, chunk);
      offsets_.push_back(bytes_.size());
      bytes_.insert(bytes_.end(), record.begin(), record.end());
    }
  }

  // Scans bytes_ as a file; leaves the offsets of the records in seen_.
  PackScan scan() {
    auto scan = try_scan();
    EXPECT_OK(scan);
    return scan.ok() ? std::move(scan).value() : PackScan();
  }
  Result<PackScan> try_scan() {
    TRY_ASSIGN(auto packs, file_system_.open_directory(directory_.path()));
    TRY_ASSIGN(auto file, packs->open(pack_file_name(kPack), OpenMode::kCreateAny));
    TRY(file->resize(bytes_.size()));
    TRY(file->write(0, bytes_));
    seen_.clear();
    return scan_pack(*packs, kPack, [&](const ScannedRecord& record) -> Result<void> {
      seen_.push_back(record.location.offset);
      return {};
    });
  }
  void cut_off(uint64_t size_bytes) {
    std::filesystem::resize_file(directory_ / pack_file_name(kPack), size_bytes);
  }

  TemporaryDirectory directory_;
  PosixFileSystem plain_;
  FaultPlan plan_;
  FaultyFileSystem file_system_{plain_, plan_};
  Bytes bytes_;
  std::vector<uint64_t> offsets_, seen_;
};

TEST_F(PackScanTest, SeesEveryRecordInOrder) {
  const PackScan found = scan();
  EXPECT_EQ(seen_, offsets_);
  EXPECT_EQ(found.record_count, 100u);
  EXPECT_OK(found.header);
  EXPECT_EQ(found.gap_bytes + found.tail_bytes, 0u);
}

TEST_F(PackScanTest, GoesOnBehindADamagedHeader) {
  bytes_[offsets_[0] + 20] ^= std::byte(1);
  bytes_[offsets_[50] + 3] ^= std::byte(1);  // the magic itself
  bytes_[offsets_[51] + 8] ^= std::byte(1);  // the length
  const PackScan found = scan();
  std::vector<uint64_t> wanted = offsets_;
  wanted.erase(wanted.begin() + 50, wanted.begin() + 52);
  wanted.erase(wanted.begin());
  EXPECT_EQ(seen_, wanted);
  ASSERT_EQ(found.gaps.size(), 2u);
  EXPECT_EQ(found.gaps[1].offset, offsets_[50]);
  EXPECT_EQ(found.gaps[1].length, offsets_[52] - offsets_[50]);
  EXPECT_EQ(found.tail_bytes, 0u);
}

TEST_F(PackScanTest, ADamagedPayloadIsTheVisitorsToFind) {
  bytes_[offsets_[9] + 1000] ^= std::byte(1);
  EXPECT_EQ(scan().record_count, 100u);
}

TEST_F(PackScanTest, ATailThatWasCutOffIsNoGap) {
  bytes_.resize(offsets_[99] + 500);
  const PackScan found = scan();
  EXPECT_EQ(found.record_count, 99u);
  EXPECT_EQ(found.tail_bytes, 500u);
  EXPECT_TRUE(found.gaps.empty());
}

// By its writer, who takes back what it has not synced, or by a collection that deletes it.
TEST_F(PackScanTest, OneThatIsCutOffMeanwhileEndsThere) {
  plan_.before_next(FileOperation::kRead, [&] { cut_off(offsets_[90] + 500); });
  const PackScan found = scan();
  EXPECT_EQ(found.record_count, 90u);
  EXPECT_EQ(found.tail_bytes, 500u);
  EXPECT_EQ(found.scanned_bytes, offsets_[90] + 500);
  EXPECT_OK(found.header);
  plan_.before_next(FileOperation::kRead, [&] {
    plan_.before_next(FileOperation::kRead, [&] { cut_off(0); });  // when 4 MiB are read
  });
  EXPECT_LT(scan().record_count, 100u);
  plan_.before_next(FileOperation::kRead, [&] { cut_off(0); });
  EXPECT_FAULT(try_scan(), Fault::kNotFound);
}

TEST_F(PackScanTest, ADamagedPackHeaderHidesNoRecord) {
  bytes_[17] ^= std::byte(1);
  const PackScan found = scan();
  EXPECT_EQ(found.record_count, 100u);
  EXPECT_FAULT(found.header, Fault::kDamaged);
}

TEST_F(PackScanTest, AnyBytesAtAllAreScanned) {
  for (size_t size : {0, 1, 63, 64, 65, 200'000}) {
    bytes_ = random_bytes(size, size);
    for (size_t at = 70; at + 4 < bytes_.size(); at += 777) {
      std::copy_n(as_bytes("CDRC").begin(), 4, bytes_.begin() + ptrdiff_t(at));
    }
    const PackScan found = scan();
    EXPECT_EQ(found.record_count, 0u);
    EXPECT_EQ(found.scanned_bytes, size);
  }
}

TEST_F(PackScanTest, APackThatIsGoneIsNotFound) {
  auto packs = PosixDirectory::open_path(directory_.path());
  ASSERT_OK(packs);
  const auto ignore = [](const ScannedRecord&) -> Result<void> { return {}; };
  EXPECT_FAULT(scan_pack(*packs.value(), 99, ignore), Fault::kNotFound);
}

}  // namespace
}  // namespace casdisk
