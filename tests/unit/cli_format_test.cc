#include <gtest/gtest.h>

#include "nbd/cli/format.h"

namespace casdisk {
namespace {

TEST(CliFormat, BytesAreRoundedToWhatSaysSomething) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1 KiB");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(uint64_t(10) << 30), "10 GiB");
  EXPECT_EQ(human_bytes((uint64_t(1) << 30) - 1), "1 GiB");
  EXPECT_EQ(human_bytes(uint64_t(123456789)), "118 MiB");
  EXPECT_EQ(human_bytes(uint64_t(1) << 40), "1 TiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16 EiB");
}

TEST(CliFormat, Durations) {
  EXPECT_EQ(human_duration(0.418), "0.42 s");
  EXPECT_EQ(human_duration(9.999), "10 s");
  EXPECT_EQ(human_duration(59.4), "59 s");
  EXPECT_EQ(human_duration(59.6), "1:00");
  EXPECT_EQ(human_duration(187), "3:07");
  EXPECT_EQ(human_duration(3753), "1:02:33");
}

TEST(CliFormat, TimesAreUtc) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_text(1795222923'000'000'000), "2026-11-21T01:02:03Z");
  EXPECT_EQ(utc_name(1795222923'999'999'999), "2026-11-21T01.02.03Z");
  EXPECT_EQ(utc_text(-1), "1969-12-31T23:59:59Z");
}

TEST(CliFormat, ShortIdIsTheBeginning) {
  ChunkId id = hash_of({});
  EXPECT_EQ(short_id(id), to_hex(id).substr(0, 12));
}

TEST(CliFormat, TableAlignsItsColumns) {
  EXPECT_EQ(
      table_text({{"NAME", ">SIZE", "STATE"}, {"a", "10 GiB", "idle"}, {"longer", "1 B", ""}}),
      "NAME      SIZE  STATE\n"
      "a       10 GiB  idle\n"
      "longer     1 B\n");
  // The mark of a heading to the right takes no room.
  EXPECT_EQ(table_text({{">N", "X"}, {"1", "y"}}), "N  X\n1  y\n");
  EXPECT_EQ(table_text({}), "");
}

}  // namespace
}  // namespace casdisk
