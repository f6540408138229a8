// forgetful: an nbdkit plugin, the disk of a machine whose power fails.
//
//   nbdkit nbdkit-forgetful-plugin.so image=FILE [lies=1]
//
// Writes lie in a volatile layer until a flush or FUA moves them to the image, which must exist and
// gives the size. The power fails when a client opens the export "cut:SEED": of every block of 4
// KiB that was not flushed, the image keeps what it had or gets any one of the contents written
// since, each block decided on its own; from then on every request fails with EIO. The export
// "cut:SEED" reads as one line of JSON that says how many blocks that were,
// and how often the disk was flushed. The same image, served
// again, is the disk after the power is back.
//
// Fault model: blocks of 4 KiB are written whole; a flush covers all writes that were answered
// before it and nothing lasts without one. With lies=1 flushes are answered and forgotten: what a
// test that watches this disk must then notice.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace {

constexpr uint32_t kBlockBytes = 4096;
constexpr size_t kMaxVersions = 6;  // of a block; bounds the memory
constexpr std::string_view kCutPrefix = "cut:";

using Block = std::array<char, kBlockBytes>;

class ForgetfulDisk {
 public:
  bool open(const std::string& path, bool lies) {
    lies_ = lies;
    image_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct stat status {};
    if (image_ < 0 || ::fstat(image_, &status) != 0) return false;
    size_bytes_ = status.st_size;
    return size_bytes_ % kBlockBytes == 0;
  }

  int64_t size_bytes() const { return size_bytes_; }

  int read(char* into, uint32_t count, uint64_t offset) {
    std::lock_guard lock(mutex_);
    if (cut_) return fail();
    return for_each_block(offset, count, [&](uint64_t block, uint32_t from, uint32_t length) {
      Block content;
      if (!load(block, content)) return false;
      std::memcpy(into, &content[from], length);
      into += length;
      return true;
    });
  }

  int write(const char* data, uint32_t count, uint64_t offset, bool fua) {
    std::lock_guard lock(mutex_);
    if (cut_) return fail();
    return for_each_block(offset, count, [&](uint64_t block, uint32_t from, uint32_t length) {
      Block content;
      if (length < kBlockBytes && !load(block, content)) return false;
      std::memcpy(&content[from], data, length);
      data += length;
      auto& versions = unflushed_[block];
      if (versions.size() == kMaxVersions) versions.erase(versions.begin());
      versions.push_back(content);
      return !fua || lies_ || settle(block);
    });
  }

  int flush() {
    std::lock_guard lock(mutex_);
    if (cut_) return fail();
    if (lies_) return 0;
    flush_count_++;
    while (!unflushed_.empty()) {
      if (!settle(unflushed_.begin()->first)) return fail();
    }
    return 0;
  }

  // The power fails; said again, nothing happens. The report, as JSON.
  std::string cut(uint64_t seed) {
    std::lock_guard lock(mutex_);
    if (cut_) return report_;
    cut_ = true;
    std::mt19937_64 random(seed);
    // Some disks had nearly everything in place, some nothing.
    constexpr std::array kChancesToKeep = {0.0, 0.1, 0.5, 0.9};
    const double chance = kChancesToKeep[random() % kChancesToKeep.size()];
    size_t dropped = 0, kept_old = 0, kept = 0;
    for (const auto& [block, versions] : unflushed_) {
      if (std::bernoulli_distribution(chance)(random)) {
        size_t chosen = random() % versions.size();
        if (!store(block, versions[chosen])) nbdkit_error("the image: %m");
        chosen + 1 == versions.size() ? kept++ : kept_old++;
      } else {
        dropped++;
      }
    }
    report_ = "{\"flushes\": " + std::to_string(flush_count_) +
              ", \"unflushed\": " + std::to_string(unflushed_.size()) +
              ", \"dropped\": " + std::to_string(dropped) +
              ", \"kept_older\": " + std::to_string(kept_old) +
              ", \"kept_newest\": " + std::to_string(kept) + "}\n";
    return report_;
  }

 private:
  static int fail() {
    errno = EIO;
    return -1;
  }

  template <typename Visit>
  static int for_each_block(uint64_t offset, uint32_t count, Visit visit) {
    while (count > 0) {
      const uint32_t from = offset % kBlockBytes;
      const uint32_t length = std::min(count, kBlockBytes - from);
      if (!visit(offset / kBlockBytes, from, length)) return fail();
      offset += length;
      count -= length;
    }
    return 0;
  }

  bool load(uint64_t block, Block& into) {
    if (auto found = unflushed_.find(block); found != unflushed_.end()) {
      into = found->second.back();
      return true;
    }
    return ::pread(image_, into.data(), kBlockBytes, block * kBlockBytes) == kBlockBytes;
  }

  bool store(uint64_t block, const Block& content) {
    return ::pwrite(image_, content.data(), kBlockBytes, block * kBlockBytes) == kBlockBytes;
  }

  bool settle(uint64_t block) {
    if (!store(block, unflushed_[block].back())) return false;
    unflushed_.erase(block);
    return true;
  }

  // Fixed after open().
  int image_ = -1;
  int64_t size_bytes_ = 0;
  bool lies_ = false;

  // Guarded by mutex_.
  std::mutex mutex_;
  bool cut_ = false;
  uint64_t flush_count_ = 0;
  std::string report_;
  std::map<uint64_t, std::vector<Block>> unflushed_;  // oldest content first
};

// What a client has open: the disk, or the report of a power cut.
struct Handle {
  bool is_report = false;
  std::string report;
};

ForgetfulDisk disk;
std::string image_path;
bool lies = false;

Handle& handle_of(void* handle) { return *static_cast<Handle*>(handle); }

int configure(const char* key, const char* value) {
  const std::string name = key;
  if (name == "image") {
    char* path = nbdkit_absolute_path(value);
    if (path == nullptr) return -1;
    image_path = path;
    std::free(path);
  } else if (name == "lies") {
    lies = nbdkit_parse_bool(value) == 1;
  } else {
    nbdkit_error("unknown parameter %s", key);
    return -1;
  }
  return 0;
}

int get_ready() {
  if (disk.open(image_path, lies)) return 0;
  nbdkit_error("image=%s: not a file of whole blocks that can be written", image_path.c_str());
  return -1;
}

void* open(int) {
  const std::string name = nbdkit_export_name();
  auto* handle = new Handle;
  if (name.starts_with(kCutPrefix)) {
    handle->is_report = true;
    handle->report = disk.cut(std::strtoull(name.c_str() + kCutPrefix.size(), nullptr, 10));
  }
  return handle;
}

void close(void* handle) { delete &handle_of(handle); }

int64_t get_size(void* handle) {
  const Handle& opened = handle_of(handle);
  return opened.is_report ? int64_t(opened.report.size()) : disk.size_bytes();
}

int can_write(void* handle) { return !handle_of(handle).is_report; }
int can_fua(void*) { return NBDKIT_FUA_NATIVE; }
int yes(void*) { return 1; }

int pread(void* handle, void* buffer, uint32_t count, uint64_t offset, uint32_t) {
  const Handle& opened = handle_of(handle);
  if (!opened.is_report) return disk.read(static_cast<char*>(buffer), count, offset);
  std::memcpy(buffer, opened.report.data() + offset, count);
  return 0;
}

int pwrite(void*, const void* buffer, uint32_t count, uint64_t offset, uint32_t flags) {
  return disk.write(static_cast<const char*>(buffer), count, offset, flags & NBDKIT_FLAG_FUA);
}

int flush(void*, uint32_t) { return disk.flush(); }

nbdkit_plugin make_plugin() {
  nbdkit_plugin plugin{};
  plugin.name = "forgetful";
  plugin.description = "A disk that forgets what was not flushed, for tests";
  plugin.config = configure;
  plugin.config_help = "image=FILE  The disk's lasting content.\nlies=1      Flushes do nothing.";
  plugin.magic_config_key = "image";
  plugin.get_ready = get_ready;
  plugin.open = open;
  plugin.close = close;
  plugin.get_size = get_size;
  plugin.can_write = can_write;
  plugin.can_flush = yes;
  plugin.can_fua = can_fua;
  plugin.can_multi_conn = yes;
  plugin.pread = pread;
  plugin.pwrite = pwrite;
  plugin.flush = flush;
  plugin.errno_is_preserved = 1;
  return plugin;
}

nbdkit_plugin plugin = make_plugin();

}  // namespace

NBDKIT_REGISTER_PLUGIN(plugin)
