#include "nbd/kv/timing_text.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(TimingText, SizesAndCountsOfWhatThereWas) {
  EXPECT_EQ(timing_text({.operation = "put",
                         .microseconds = 12'034,
                         .key_bytes = 3,
                         .value_bytes = 5,
                         .ttl_ms = 60'000,
                         .count = 1}),
            "put: 12.034 ms, done, key 3 B, value 5 B, time to live 60 s, 1 record");
  EXPECT_EQ(timing_text({.operation = "get", .microseconds = 7, .key_bytes = 1}),
            "get: 0.007 ms, done, key 1 B, 0 records");
  EXPECT_EQ(timing_text({.operation = "put", .fault = Fault::kConflict}),
            "put: 0.000 ms, conflict, 0 records");
}

}  // namespace
}  // namespace casdisk
