#include <atomic>
#include <thread>

#include "bench/kv/machine.h"
#include "bench/kv/subject.h"

namespace casdisk::bench {
namespace {

void clients_row(const Subject& subject, size_t client_count) {
  const std::string row = "durable puts 16/64, clients: " + std::to_string(client_count);
  if (!subject.wants(row) || (subject.is_pool() && client_count > 8)) return;
  const auto store = subject.make(KvDurability::kPower);
  const uint64_t key_count = subject.is_pool() ? 100 : ~uint64_t(0);
  std::atomic<uint64_t> count = 0;
  const Stopwatch watch;
  std::vector<std::thread> clients;
  for (size_t me = 0; me < client_count; me++) {
    clients.emplace_back([&] {
      while (watch.seconds() < subject.options().seconds) {
        const uint64_t i = count++;
        or_die(store->put(scattered(i % key_count, 16), scattered(i, 64)));
      }
    });
  }
  for (std::thread& client : clients) client.join();
  subject.report(row, double(count) / watch.seconds(), "/s");
}

}  // namespace

void run_durable_rows(const Subject& subject) {
  if (!subject.is_lasting()) return;
  for (const size_t client_count : {1, 8, 64}) clients_row(subject, client_count);
}

}  // namespace casdisk::bench
