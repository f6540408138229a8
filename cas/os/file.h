// The I/O seam: every byte that casdisk keeps in files goes through these interfaces.
//
// FileSystem opens directories and carries batches that span files; Directory owns names; File
// owns bytes; Mapping is a shared mapping of a file. Implementations: PosixFileSystem (plain
// calls), RingFileSystem (io_uring for batches of two pieces and more) and, in the tests, a
// simulated disk. All are safe to call from any thread. Nothing above knows which one it has.
//
// A call transfers everything it was asked for or returns an error: short transfers are resubmitted
// inside, the end of a file in the middle of a read is Fault::kDamaged ("shorter than expected").
// Offsets and lengths are bytes. Errors name the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

// A range of a file that holds data (as against a hole). Units: bytes.
struct DataRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};

// What tells one file from another, and a changed one from itself: the pin of a fallback.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

class File {
 public:
  virtual ~File() = default;

  virtual Result<void> read(uint64_t offset, std::span<std::byte> into) const = 0;
  virtual Result<void> write(uint64_t offset, std::span<const std::byte> from) = 0;

  // All earlier writes are on the device. A failed sync is never retried: the file is poisoned and
  // this and every later sync returns Fault::kPoisoned.
  virtual Result<void> sync() = 0;

  // Hands what was written so far to the device and waits until it has taken it, so that a later
  // sync() finds little to do. Promises nothing: neither names and sizes nor the device's own cache
  // are synced. It may be what learns of a lost write, and then the next sync would not: a failure
  // is final, as one of sync() is. Does nothing where the file system cannot do it.
  virtual Result<void> write_out() = 0;

  virtual Result<uint64_t> size() const = 0;
  virtual Result<void> resize(uint64_t size_bytes) = 0;

  // Makes the range a hole that reads as zeros. Fault::kUnsupported where the file system has no
  // holes: the caller may then leave the bytes as they are.
  virtual Result<void> punch(uint64_t offset, uint64_t length) = 0;

  // Reserves space for the range, growing the file, so that a mapping of it cannot fault. Contents
  // are kept; new space reads as zeros.
  virtual Result<void> allocate(uint64_t offset, uint64_t length) = 0;

  // The first range of data at or after `offset`, empty (length 0) when there is none. A file
  // system that does not know its holes answers "all data".
  virtual Result<DataRange> next_data(uint64_t offset) const = 0;

  // Bytes of the device that the file occupies.
  virtual Result<uint64_t> allocated_bytes() const = 0;

  virtual Result<FileIdentity> identity() const = 0;

  // For messages only.
  virtual const std::string& path() const = 0;

  // The descriptor that a ring submits on; -1 where there is none.
  virtual int descriptor() const { return -1; }
};

// A shared mapping of a whole file: stores are visible to whoever opens the file next, also when
// this process dies at once. They reach the device when the kernel likes; nothing syncs them.
// Stores only go to ranges that File::allocate has covered (SIGBUS otherwise).
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual std::span<std::byte> bytes() = 0;
};

enum class OpenMode {
  kRead,       // must exist
  kWrite,      // must exist; read and write
  kCreate,     // must not exist; read and write
  kCreateAny,  // created if it does not exist; read and write
};

class Directory {
 public:
  virtual ~Directory() = default;

  // `name` is one path component. A created file has mode 0600; it outlives a power cut only after
  // sync() of this directory.
  virtual Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) = 0;
  virtual Result<std::unique_ptr<Mapping>> map(File& file) = 0;

  virtual Result<std::unique_ptr<Directory>> open_directory(std::string_view name) = 0;
  // Succeeds when it exists already. Mode 0700.
  virtual Result<void> make_directory(std::string_view name) = 0;

  virtual Result<void> remove(std::string_view name) = 0;            // kNotFound if absent
  virtual Result<void> remove_directory(std::string_view name) = 0;  // must be empty
  virtual Result<void> rename(std::string_view from, std::string_view to) = 0;
  virtual Result<std::vector<std::string>> list() = 0;

  // Creations, removals and renames so far are on the device. kPoisoned when that failed: whoever
  // relied on it must not try again and believe the second answer.
  virtual Result<void> sync() = 0;

  // Identifies the mount for as long as it lasts; equal ids in one boot mean that the file system
  // stayed mounted in between.
  virtual Result<uint64_t> mount_id() = 0;

  virtual Result<uint64_t> free_bytes() = 0;

  virtual const std::string& path() const = 0;
};

struct ReadPiece {
  const File* file = nullptr;
  uint64_t offset = 0;
  std::span<std::byte> into;
};

struct WritePiece {
  File* file = nullptr;
  uint64_t offset = 0;
  std::span<const std::byte> from;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<Directory>> open_directory(const std::string& path) = 0;

  // Opens a file that is not ours (a fallback, an image to import) by its path, for reading.
  virtual Result<std::unique_ptr<File>> open_foreign(const std::string& path) = 0;

  // The absolute path of what exists there, without links.
  virtual Result<std::string> canonical(const std::string& path) = 0;

  // Blocks until every piece is done. On an error the first one is returned, after all pieces have
  // come to rest: no buffer is touched after the return.
  virtual Result<void> read(std::span<const ReadPiece> pieces) = 0;
  virtual Result<void> write(std::span<const WritePiece> pieces) = 0;

  // Identifies the boot of the machine (32 hexadecimal digits or another fixed string).
  virtual const std::string& boot_id() const = 0;

  // "posix" or "uring", for dump_plugin and info.
  virtual std::string_view name() const = 0;
};

}  // namespace casdisk
