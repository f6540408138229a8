// Subject: one kind of store that is measured, in a directory of its own, and where its figures go.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/kv/options.h"
#include "cas/kv/kv_open.h"

namespace casdisk::bench {

struct Figure {
  std::string row;
  double value = 0;
  std::string unit;
};

class Subject {
 public:
  using Report = std::function<void(const Figure&)>;
  Subject(std::string backend, std::string directory, const Options& options, Report report)
      : backend_(std::move(backend)),
        directory_(std::move(directory)),
        options_(options),
        report_(std::move(report)) {}

  const std::string& backend() const { return backend_; }
  const std::string& directory() const { return directory_; }
  const Options& options() const { return options_; }
  bool is_lasting() const { return backend_ != "memory"; }
  bool is_pool() const { return backend_ == "hyperv"; }  // of a thousand records

  bool wants(std::string_view row) const;
  void report(std::string row, double value, std::string unit) const {
    report_({std::move(row), value, std::move(unit)});
  }

  // What may fail here ends the process, with the reason.
  std::unique_ptr<KvStore> open(KvDurability durability = KvDurability::kProcess) const;
  // Empties the directory first.
  std::unique_ptr<KvStore> make(KvDurability durability = KvDurability::kProcess) const;

 private:
  // Fixed after construction.
  const std::string backend_;
  const std::string directory_;
  const Options options_;
  const Report report_;
};

[[noreturn]] void die(const std::string& why);

template <typename T>
T or_die(Result<T> result) {
  if (!result.ok()) die(describe(result.error()));
  return std::move(result).value();
}
inline void or_die(const Result<void>& result) {
  if (!result.ok()) die(describe(result.error()));
}

// The same bytes for the same number, and in no order: what keys and values are made of.
std::string scattered(uint64_t number, size_t bytes);

// Calls body(0), body(1) ... for so long: how many a second.
double rate_of(double seconds, const std::function<void(uint64_t)>& body);

// Rows of a few thousand records, of writes that are durable, and of millions.
void run_small_rows(const Subject& subject);
void run_durable_rows(const Subject& subject);
void run_large_rows(const Subject& subject);

}  // namespace casdisk::bench
