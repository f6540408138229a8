#include "bench/kv/subject.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "bench/kv/machine.h"

namespace casdisk::bench {
namespace {

constexpr uint64_t kCapacityBytes = uint64_t(64) << 30;  // of LMDB's map
constexpr uint64_t kCacheBytes = uint64_t(256) << 20;    // of RocksDB

uint64_t mixed(uint64_t number) {
  number += 0x9e3779b97f4a7c15u;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
  number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
  return number ^ (number >> 31);
}

}  // namespace

void die(const std::string& why) {
  std::fprintf(stderr, "casdisk-kv-bench: %s\n", why.c_str());
  std::exit(1);
}

bool Subject::wants(std::string_view row) const {
  return options_.rows.empty() || std::ranges::any_of(options_.rows, [&](const auto& beginning) {
           return row.starts_with(beginning);
         });
}

std::unique_ptr<KvStore> Subject::open(KvDurability durability) const {
  std::string url = backend_ + ":";
  if (is_pool()) {
    url += "guest@" + directory_ + "?limits=wire";
  } else if (is_lasting()) {
    url += directory_ + "/store";
  }
  const KvOpenOptions options{
      .capacity_bytes = kCapacityBytes, .cache_bytes = kCacheBytes, .durability = durability};
  return or_die(open_kv(url, options, embedded_kv_schemes()));
}

std::unique_ptr<KvStore> Subject::make(KvDurability durability) const {
  std::filesystem::remove_all(directory_);
  std::filesystem::create_directories(directory_);
  return open(durability);
}

std::string scattered(uint64_t number, size_t bytes) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
  std::string text(bytes, '\0');
  uint64_t state = mixed(number);
  for (size_t i = 0; i < bytes; i++) {
    if (i % 10 == 9) state = mixed(state + i);
    text[i] = kDigits[(state >> (6 * (i % 10))) & 63];
  }
  return text;
}

double rate_of(double seconds, const std::function<void(uint64_t)>& body) {
  constexpr uint64_t kPerLook = 64;
  const Stopwatch watch;
  uint64_t count = 0;
  do {
    for (uint64_t i = 0; i < kPerLook; i++) body(count++);
  } while (watch.seconds() < seconds);
  return double(count) / watch.seconds();
}

}  // namespace casdisk::bench
