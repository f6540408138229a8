#include "cas/kv/lmdb.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <compare>
#include <map>
#include <mutex>

#include "cas/kv/lmdb_environment.h"

namespace casdisk {

namespace {

// Which environments this process has open. A registry, because LMDB's locks are the process's own
// (fcntl): opening a file of an environment twice and closing it once would drop them all. So a
// second open() shares the first one's environment, and the last one closes it, under the mutex
// that opening takes. The process is part of the key: what a parent opened is not ours to use, nor
// to close.
struct EnvironmentKey {
  pid_t process = 0;
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const EnvironmentKey&) const = default;
};

struct Registry {
  struct Entry {
    std::unique_ptr<LmdbProcessEnvironment> environment;
    size_t user_count = 0;
  };
  std::mutex mutex;
  // Guarded by mutex.
  std::map<EnvironmentKey, Entry> entries;
};

Registry& registry() {
  static Registry& instance = *new Registry;  // never destroyed: handles may be statics themselves
  return instance;
}

class SharedEnvironment : public LmdbEnvironment {
 public:
  SharedEnvironment(const EnvironmentKey& key, LmdbProcessEnvironment& environment,
                    std::function<bool()> make_room)
      : key_(key), environment_(environment), make_room_(std::move(make_room)) {}
  ~SharedEnvironment() override {
    if (key_.process != ::getpid()) return;
    std::lock_guard lock(registry().mutex);
    auto entry = registry().entries.find(key_);
    if (--entry->second.user_count == 0) registry().entries.erase(entry);
  }
  SharedEnvironment(const SharedEnvironment&) = delete;
  SharedEnvironment& operator=(const SharedEnvironment&) = delete;

  Result<void> view(const std::function<Result<void>(LmdbReader&)>& body) override {
    return environment_.view(body);
  }
  Result<void> update(const std::function<Result<void>(LmdbWriter&)>& body) override {
    auto done = environment_.update(body);
    // The second try writes all of the transaction's pages anew, so it relies on nothing that a
    // sync of the first may have lost. A full map (no os_error) is not helped by space.
    const bool is_full =
        !done.ok() && done.error().fault == Fault::kNoSpace && done.error().os_error == ENOSPC;
    if (!is_full || !make_room_ || !make_room_()) return done;
    return environment_.update(body);
  }
  Result<void> catch_up() override { return environment_.catch_up(); }
  Result<LmdbInfo> info() override { return environment_.info(); }
  Result<void> copy_to(const std::string& directory) override {
    return environment_.copy_to(directory);
  }
  Result<void> compact() override { return environment_.compact(); }

 private:
  // Fixed after construction.
  const EnvironmentKey key_;
  LmdbProcessEnvironment& environment_;
  const std::function<bool()> make_room_;
};

Error unsupported() { return Error{Fault::kUnsupported, 0, "not in this environment"}; }

}  // namespace

Result<std::span<const std::byte>> LmdbReader::note() { return unsupported(); }
Result<void> LmdbWriter::put_note(std::span<const std::byte>) { return unsupported(); }
Result<void> LmdbWriter::clear() { return unsupported(); }
Result<void> LmdbEnvironment::copy_to(const std::string&) { return unsupported(); }
Result<void> LmdbEnvironment::compact() { return unsupported(); }

Result<std::unique_ptr<LmdbEnvironment>> LmdbEnvironment::open(const std::string& directory,
                                                               const LmdbOptions& options) {
  struct stat status;
  if (::stat(directory.c_str(), &status) != 0) return os_error(errno, directory);
  const EnvironmentKey key{::getpid(), status.st_dev, status.st_ino};
  std::lock_guard lock(registry().mutex);
  auto entry = registry().entries.find(key);
  if (entry == registry().entries.end()) {
    auto environment = std::make_unique<LmdbProcessEnvironment>(directory);
    TRY(environment->open(options));
    entry = registry().entries.emplace(key, Registry::Entry{std::move(environment), 0}).first;
  }
  entry->second.user_count++;
  return std::unique_ptr<LmdbEnvironment>(
      new SharedEnvironment(key, *entry->second.environment, options.make_room));
}

}  // namespace casdisk
