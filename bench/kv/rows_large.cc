// Where chunks lie: ids of 32 bytes to 16 bytes each, millions of them.
#include <algorithm>

#include "bench/kv/machine.h"
#include "bench/kv/subject.h"

namespace casdisk::bench {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kValueBytes = 16;
constexpr size_t kFillBatch = 65536;
constexpr size_t kDurableBatch = 1024;
constexpr double kMega = 1 << 20;

std::string key_of(uint64_t number) { return scattered(number, kKeyBytes); }

void put_batch(KvStore& store, uint64_t first, size_t count) {
  KvBatch batch;
  for (uint64_t i = first; i < first + count; i++) {
    batch.put(key_of(i), scattered(~i, kValueBytes));
  }
  or_die(store.write(batch));
}

void report_memory(const Subject& subject, const std::string& row) {
  const Memory memory = resident_memory();
  subject.report(row + ": memory", double(memory.anonymous_bytes) / kMega, "MiB");
  subject.report(row + ": pages of files", double(memory.mapped_file_bytes) / kMega, "MiB");
}

// What the device has written since, beside what was to be kept.
void report_written(const Subject& subject, const std::string& row, std::optional<uint64_t> before,
                    uint64_t record_count) {
  const auto now = written_bytes(subject.directory());
  if (!before || !now) return;
  const double payload = double(record_count * (kKeyBytes + kValueBytes));
  subject.report(row + ": bytes written for each", double(*now - *before) / payload, "x");
}

void fill(const Subject& subject, KvStore& store) {
  const uint64_t count = subject.options().count;
  const Stopwatch watch;
  for (uint64_t first = 0; first < count; first += kFillBatch) {
    put_batch(store, first, size_t(std::min<uint64_t>(kFillBatch, count - first)));
  }
  subject.report("locations: fill in random order", double(count) / watch.seconds(), "/s");
}

void lookups(const Subject& subject, KvStore& store) {
  const uint64_t count = subject.options().count;
  uint64_t state = 1;
  const auto look = [&](bool is_there) {
    return rate_of(2 * subject.options().seconds, [&](uint64_t) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const uint64_t number = (state >> 20) % count + (is_there ? 0 : 2 * count);
      if (or_die(store.get(key_of(number))).has_value() != is_there) die("a lookup went wrong");
    });
  };
  subject.report("locations: lookups that hit", look(true), "/s");
  subject.report("locations: lookups that miss", look(false), "/s");
}

void durable_batches(const Subject& subject, KvStore& store) {
  const uint64_t count = subject.options().count;
  const auto written_before = written_bytes(subject.directory());
  std::vector<double> milliseconds;
  const Stopwatch watch;
  do {
    const Stopwatch one;
    put_batch(store, count + milliseconds.size() * kDurableBatch, kDurableBatch);
    milliseconds.push_back(one.milliseconds());
  } while (watch.seconds() < 5 * subject.options().seconds);
  const double rate = double(milliseconds.size() * kDurableBatch) / watch.seconds();
  std::ranges::sort(milliseconds);
  const std::string row = "locations: durable batches of 1,024";
  subject.report(row, rate, "/s");
  subject.report(row + ": the middle one", milliseconds[milliseconds.size() / 2], "ms");
  subject.report(row + ": one of a hundred", milliseconds[milliseconds.size() * 99 / 100], "ms");
  report_written(subject, row, written_before, milliseconds.size() * kDurableBatch);
}

void load_row(const Subject& subject) {
  const uint64_t count = subject.options().count;
  std::vector<KvRecord> records(count);
  for (uint64_t i = 0; i < count; i++) records[i] = {key_of(i), {scattered(~i, kValueBytes)}};
  std::ranges::sort(records, {}, &KvRecord::key);
  const auto store = subject.make();
  const Stopwatch watch;
  or_die(store->load(records));
  subject.report("locations: load, sorted", double(count) / watch.seconds(), "/s");
  if (!subject.is_lasting()) return;
  subject.report("locations: loaded: disk", double(bytes_below(subject.directory())) / kMega,
                 "MiB");
}

}  // namespace

void run_large_rows(const Subject& subject) {
  if (subject.is_pool() || !subject.wants("locations")) return;
  auto store = subject.make();
  const auto written_before = written_bytes(subject.directory());
  fill(subject, *store);
  report_memory(subject, "locations: filled");
  if (subject.is_lasting()) {
    subject.report("locations: filled: disk", double(bytes_below(subject.directory())) / kMega,
                   "MiB");
    store.reset();
    report_written(subject, "locations: fill", written_before, subject.options().count);
    const Stopwatch watch;
    store = subject.open(KvDurability::kPower);
    (void)or_die(store->get(key_of(0)));
    subject.report("locations: open and first get", watch.milliseconds(), "ms");
  }
  lookups(subject, *store);
  report_memory(subject, "locations: looked up");
  if (subject.is_lasting()) durable_batches(subject, *store);
  store.reset();
  load_row(subject);
}

}  // namespace casdisk::bench
