#include <algorithm>
#include <thread>

#include "bench/kv/machine.h"
#include "bench/kv/subject.h"

namespace casdisk::bench {
namespace {

constexpr size_t kPuts = 1000;
constexpr int kRepeats = 5;  // the middle one counts
constexpr size_t kGetCount = 4096;
constexpr size_t kPoolCount = 100;  // each of its puts looks at all of them, and syncs

double middle(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void fill(KvStore& store, size_t count, size_t key_bytes, size_t value_bytes) {
  for (size_t i = 0; i < count; i++) {
    or_die(store.put(scattered(i, key_bytes), scattered(i + count, value_bytes)));
  }
}

void put_row(const Subject& subject, const std::string& row, size_t key_bytes, size_t value_bytes) {
  if (!subject.wants(row)) return;
  std::vector<double> rates;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    const auto store = subject.make();
    if (value_bytes > store->limits().value_bytes) return;
    if (subject.is_pool()) {
      rates.push_back(rate_of(subject.options().seconds, [&](uint64_t i) {
        or_die(store->put(scattered(i % kPoolCount, key_bytes), scattered(i, value_bytes)));
      }));
      break;
    }
    const Stopwatch watch;
    fill(*store, kPuts, key_bytes, value_bytes);
    rates.push_back(kPuts / watch.seconds());
  }
  subject.report(row, middle(rates), "/s");
}

void get_rows(const Subject& subject) {
  if (!subject.wants("get hot") && !subject.wants("get cold")) return;
  const size_t count = subject.is_pool() ? kPoolCount : kGetCount;
  auto store = subject.make();
  fill(*store, count, 32, 256);
  const auto get = [&](uint64_t i) {
    if (!or_die(store->get(scattered(i * 7919 % count, 32)))) die("a record is not there");
  };
  if (subject.wants("get hot")) {
    subject.report("get hot", rate_of(subject.options().seconds, get), "/s");
  }
  if (!subject.wants("get cold") || !subject.is_lasting()) return;
  store.reset();
  const Stopwatch opening;
  store = subject.open();
  get(0);
  subject.report("get cold: open and first get", opening.milliseconds(), "ms");
  const Stopwatch watch;
  for (size_t i = 0; i < count; i++) get(i);
  subject.report("get cold", double(count) / watch.seconds(), "/s");
}

void compact_rows(const Subject& subject) {
  constexpr size_t kCount = 20'000;
  constexpr size_t kRemoved = 4'000;
  if (subject.is_pool() || (!subject.wants("fill 20,000") && !subject.wants("compact"))) return;
  const auto store = subject.make();
  const Stopwatch filling;
  fill(*store, kCount, 32, 256);
  subject.report("fill 20,000 of 32/256", kCount / filling.seconds(), "/s");
  if (!store->capabilities().has(KvCapability::kCompact)) return;
  for (size_t i = 0; i < kRemoved; i++) or_die(store->remove(scattered(i * 5, 32)));
  const Stopwatch watch;
  or_die(store->compact());
  subject.report("compact 20,000 less 4,000", watch.milliseconds(), "ms");
}

void prefix_row(const Subject& subject) {
  const std::string row = "prefix 1,000 of 10,000";
  if (subject.is_pool() || !subject.wants(row)) return;
  const auto store = subject.make();
  for (size_t i = 0; i < 10'000; i++) {
    const std::string group = std::to_string(i % 10);
    or_die(store->put("group" + group + "/" + scattered(i, 16), scattered(i, 64)));
  }
  const double rate = rate_of(subject.options().seconds, [&](uint64_t i) {
    const auto page = or_die(store->list("group" + std::to_string(i % 10) + "/"));
    if (page.records.size() != 1000) die("a list is not whole");
  });
  subject.report(row, 1e3 / rate, "ms");
}

void parallel_row(const Subject& subject, size_t thread_count) {
  const std::string row = "parallel puts 32/256, threads: " + std::to_string(thread_count);
  if (subject.is_pool() || !subject.wants(row)) return;
  std::vector<double> rates;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    const auto store = subject.make();
    const Stopwatch watch;
    std::vector<std::thread> threads;
    for (size_t me = 0; me < thread_count; me++) {
      threads.emplace_back([&, me] {
        for (size_t i = me; i < kGetCount; i += thread_count) {
          or_die(store->put(scattered(i, 32), scattered(i, 256)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    rates.push_back(kGetCount / watch.seconds());
  }
  subject.report(row, middle(rates), "/s");
}

}  // namespace

void run_small_rows(const Subject& subject) {
  put_row(subject, "put 16/64", 16, 64);
  put_row(subject, "put 16/512", 16, 512);
  put_row(subject, "put 32/4096", 32, 4096);
  get_rows(subject);
  compact_rows(subject);
  prefix_row(subject);
  for (const size_t thread_count : {1, 2, 4, 8}) parallel_row(subject, thread_count);
}

}  // namespace casdisk::bench
