// Files, directories and the file system of a simulated computer.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/support/simulated_computer.h"

namespace casdisk {
namespace {

using LifePointer = SimulatedComputer::LifePointer;
using Call = SimulatedComputer::Call;

Result<void> check_component(std::string_view name) {
  if (name.empty() || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return Error{Fault::kInvalid, 0, fmt::format("\"{}\" is no file name", name)};
  }
  return {};
}

class SimulatedFile : public File {
 public:
  SimulatedFile(SimulatedComputer& computer, LifePointer life, InodePointer inode, std::string path,
                bool is_writable)
      : computer_(computer),
        life_(std::move(life)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        is_writable_(is_writable) {}

  Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    if (into.empty()) return {};
    return computer_.operate(life_, Call::kRead, path_ + ": read", [&]() -> Result<void> {
      const Bytes& cache = inode_->bytes.cache();
      if (offset > cache.size() || into.size() > cache.size() - offset) {
        return Error{Fault::kDamaged, 0,
                     fmt::format("{}: shorter than expected: {} bytes at {} of {}", path_,
                                 into.size(), offset, cache.size())};
      }
      std::memcpy(into.data(), &cache[offset], into.size());
      computer_.maybe_flip(path_, into);
      return {};
    });
  }

  // Struck or failing, it leaves whole pages of its beginning.
  Result<void> write(uint64_t offset, std::span<const std::byte> from) override {
    if (from.empty()) return {};
    const auto some = [&] {
      const uint64_t pages = from.size() / kSimulatedPageBytes;
      if (pages > 0) store(offset, from.first(computer_.dice()() % pages * kSimulatedPageBytes));
    };
    return change(
        "write",
        [&]() -> Result<void> {
          TRY(check_space(offset, from.size()));
          store(offset, from);
          return {};
        },
        some);
  }

  Result<void> sync() override {
    TRY(check_poison());
    auto synced = computer_.operate(
        life_, Call::kSync, path_ + ": sync",
        [this]() -> Result<void> {
          inode_->bytes.sync();
          return {};
        },
        [this] { inode_->bytes.fail_sync(computer_.dice()); });
    poisoned_ = !synced.ok();
    if (!synced.ok()) synced.error().fault = Fault::kPoisoned;
    return synced;
  }

  Result<void> write_out() override {
    TRY(check_poison());
    auto written = computer_.operate(
        life_, Call::kSync, path_ + ": write-out", [] { return Result<void>(); },
        [this] { inode_->bytes.fail_sync(computer_.dice()); });
    poisoned_ = !written.ok();
    if (!written.ok()) written.error().fault = Fault::kPoisoned;
    return written;
  }

  Result<uint64_t> size() const override { return inode_->bytes.size_bytes(); }

  Result<void> resize(uint64_t size_bytes) override {
    return change("resize", [&]() -> Result<void> {
      inode_->bytes.resize(size_bytes);
      return {};
    });
  }
  Result<void> punch(uint64_t offset, uint64_t length) override {
    return change("punch", [&]() -> Result<void> {
      inode_->bytes.punch(offset, length);
      return {};
    });
  }
  Result<void> allocate(uint64_t offset, uint64_t length) override {
    return change("allocate", [&]() -> Result<void> {
      TRY(check_space(offset, length));
      inode_->bytes.allocate(offset, length);
      return {};
    });
  }

  Result<DataRange> next_data(uint64_t offset) const override {
    const SimulatedBytes& bytes = inode_->bytes;
    uint64_t page = offset / kSimulatedPageBytes;
    while (page < bytes.page_count() && !bytes.is_allocated(page)) page++;
    const uint64_t first = std::max(offset, page * kSimulatedPageBytes);
    while (page < bytes.page_count() && bytes.is_allocated(page)) page++;
    const uint64_t end = std::min(bytes.size_bytes(), page * kSimulatedPageBytes);
    return first < end ? DataRange{first, end - first} : DataRange{};
  }
  Result<uint64_t> allocated_bytes() const override { return inode_->bytes.allocated_bytes(); }
  Result<FileIdentity> identity() const override {
    return FileIdentity{1, inode_->number, inode_->bytes.size_bytes(), inode_->mtime_ns};
  }
  const std::string& path() const override { return path_; }
  const InodePointer& inode() const { return inode_; }

 private:
  Result<void> check_poison() const {
    if (!poisoned_) return {};
    return Error{Fault::kPoisoned, 0, path_ + ": an earlier sync failed"};
  }
  Result<void> check_space(uint64_t offset, uint64_t length) {
    return computer_.check_space(inode_->bytes.missing_pages(offset, length), path_);
  }
  void store(uint64_t offset, std::span<const std::byte> from) {
    if (from.empty()) return;
    inode_->bytes.write(offset, from);
    inode_->mtime_ns = int64_t(computer_.now_ns());
  }
  Result<void> change(
      std::string_view what, const SimulatedComputer::Effect& effect,
      const SimulatedComputer::Part& part = [] {}) {
    const std::string name = fmt::format("{}: {}", path_, what);
    if (!is_writable_) return os_error(EBADF, name);
    return computer_.operate(life_, Call::kChange, name, effect, part);
  }

  SimulatedComputer& computer_;
  const LifePointer life_;
  const InodePointer inode_;
  const std::string path_;
  const bool is_writable_;
  bool poisoned_ = false;
};

class SimulatedDirectory : public Directory {
 public:
  SimulatedDirectory(SimulatedComputer& computer, LifePointer life, InodePointer inode,
                     std::string path)
      : computer_(computer),
        life_(std::move(life)),
        inode_(std::move(inode)),
        path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    TRY(check_component(name));
    const std::string key(name);
    InodePointer found = names().find(key);
    if (found && found->is_directory) return os_error(EISDIR, path_of(name));
    if (found && mode == OpenMode::kCreate) return os_error(EEXIST, path_of(name));
    const bool creates = mode == OpenMode::kCreate || mode == OpenMode::kCreateAny;
    if (!found && !creates) return os_error(ENOENT, path_of(name));
    const Call call = found ? Call::kRead : Call::kChange;
    TRY(computer_.operate(life_, call, path_of(name) + ": open", [&]() -> Result<void> {
      if (found) return {};
      found = computer_.new_inode(false);
      names().set(key, found);
      return {};
    }));
    return std::unique_ptr<File>(std::make_unique<SimulatedFile>(
        computer_, life_, found, path_of(name), mode != OpenMode::kRead));
  }

  Result<std::unique_ptr<Mapping>> map(File& file) override {
    const InodePointer& inode = static_cast<SimulatedFile&>(file).inode();
    if (inode->bytes.size_bytes() == 0) {
      return Error{Fault::kInvalid, 0, file.path() + ": an empty file cannot be mapped"};
    }
    TRY(computer_.operate(life_, Call::kRead, file.path() + ": map",
                          [] { return Result<void>(); }));
    return std::unique_ptr<Mapping>(std::make_unique<SimulatedMapping>(life_, inode));
  }

  Result<std::unique_ptr<Directory>> open_directory(std::string_view name) override {
    TRY(check_component(name));
    InodePointer found = names().find(std::string(name));
    TRY(computer_.operate(life_, Call::kRead, path_of(name) + ": open",
                          [] { return Result<void>(); }));
    if (!found) return os_error(ENOENT, path_of(name));
    if (!found->is_directory) return os_error(ENOTDIR, path_of(name));
    return std::unique_ptr<Directory>(
        std::make_unique<SimulatedDirectory>(computer_, life_, found, path_of(name)));
  }

  Result<void> make_directory(std::string_view name) override {
    TRY(check_component(name));
    const std::string key(name);
    if (InodePointer found = names().find(key)) {
      return found->is_directory ? Result<void>() : Result<void>(os_error(EEXIST, path_of(name)));
    }
    return change(path_of(name) + ": mkdir", [&] { names().set(key, computer_.new_inode(true)); });
  }

  Result<void> remove(std::string_view name) override {
    TRY_ASSIGN(InodePointer found, existing(name));
    if (found->is_directory) return os_error(EISDIR, path_of(name));
    return change(path_of(name) + ": remove", [&] { names().set(std::string(name), nullptr); });
  }

  Result<void> remove_directory(std::string_view name) override {
    TRY_ASSIGN(InodePointer found, existing(name));
    if (!found->is_directory) return os_error(ENOTDIR, path_of(name));
    if (!found->names.entries().empty()) return os_error(ENOTEMPTY, path_of(name));
    return change(path_of(name) + ": rmdir", [&] { names().set(std::string(name), nullptr); });
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    TRY(check_component(to));
    TRY_ASSIGN(InodePointer found, existing(from));
    return change(path_of(from) + ": rename",
                  [&] { names().rename(std::string(from), std::string(to)); });
  }

  Result<std::vector<std::string>> list() override {
    std::vector<std::string> found;
    TRY(computer_.operate(life_, Call::kRead, path_ + ": list", [&]() -> Result<void> {
      for (const auto& [name, inode] : names().entries()) found.push_back(name);
      return {};
    }));
    return found;
  }

  Result<void> sync() override {
    auto synced = computer_.operate(
        life_, Call::kSync, path_ + ": sync",
        [this]() -> Result<void> {
          names().sync();
          return {};
        },
        [this] { names().fail_sync(computer_.dice()); });
    if (!synced.ok()) synced.error().fault = Fault::kPoisoned;
    return synced;
  }

  Result<uint64_t> mount_id() override { return computer_.mount_id(); }
  Result<uint64_t> free_bytes() override { return computer_.free_bytes(); }
  const std::string& path() const override { return path_; }

 private:
  SimulatedNames& names() { return inode_->names; }
  std::string path_of(std::string_view name) const { return fmt::format("{}/{}", path_, name); }
  Result<InodePointer> existing(std::string_view name) {
    TRY(check_component(name));
    InodePointer found = names().find(std::string(name));
    if (!found) return os_error(ENOENT, path_of(name));
    return found;
  }
  Result<void> change(const std::string& name, const std::function<void()>& effect) {
    return computer_.operate(life_, Call::kChange, name, [&]() -> Result<void> {
      effect();
      return {};
    });
  }

  SimulatedComputer& computer_;
  const LifePointer life_;
  const InodePointer inode_;
  const std::string path_;
};

class SimulatedFileSystem : public FileSystem {
 public:
  SimulatedFileSystem(SimulatedComputer& computer, LifePointer life)
      : computer_(computer), life_(std::move(life)), boot_id_(computer.boot_id()) {}

  Result<std::unique_ptr<Directory>> open_directory(const std::string& path) override {
    TRY_ASSIGN(InodePointer inode, find(path));
    if (!inode->is_directory) return os_error(ENOTDIR, path);
    return std::unique_ptr<Directory>(
        std::make_unique<SimulatedDirectory>(computer_, life_, std::move(inode), path));
  }
  Result<std::unique_ptr<File>> open_foreign(const std::string& path) override {
    TRY_ASSIGN(InodePointer inode, find(path));
    if (inode->is_directory) {
      return Error{Fault::kInvalid, 0, path + ": neither a regular file nor a block device"};
    }
    return std::unique_ptr<File>(
        std::make_unique<SimulatedFile>(computer_, life_, std::move(inode), path, false));
  }
  Result<std::string> canonical(const std::string& path) override {
    TRY(find(path));
    return path;
  }

  // Pieces of a batch are operations of their own. All come to rest; the first error counts.
  Result<void> read(std::span<const ReadPiece> pieces) override {
    Result<void> outcome;
    for (const ReadPiece& piece : pieces) {
      auto done = piece.file->read(piece.offset, piece.into);
      if (outcome.ok()) outcome = std::move(done);
    }
    return outcome;
  }
  Result<void> write(std::span<const WritePiece> pieces) override {
    Result<void> outcome;
    for (const WritePiece& piece : pieces) {
      auto done = piece.file->write(piece.offset, piece.from);
      if (outcome.ok()) outcome = std::move(done);
    }
    return outcome;
  }

  const std::string& boot_id() const override { return boot_id_; }
  std::string_view name() const override { return "simulated"; }

 private:
  Result<InodePointer> find(const std::string& path) {
    InodePointer found;
    TRY(computer_.operate(life_, Call::kRead, path + ": open", [&]() -> Result<void> {
      TRY_ASSIGN(found, computer_.find(path));
      return {};
    }));
    return found;
  }

  SimulatedComputer& computer_;
  const LifePointer life_;
  const std::string boot_id_;
};

}  // namespace

std::shared_ptr<FileSystem> make_simulated_files(SimulatedComputer& computer, LifePointer life) {
  return std::make_shared<SimulatedFileSystem>(computer, std::move(life));
}

}  // namespace casdisk
