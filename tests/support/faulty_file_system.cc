#include "tests/support/faulty_file_system.h"

#include <atomic>
#include <utility>

namespace casdisk {

namespace {

class FaultyFile : public File {
 public:
  FaultyFile(std::unique_ptr<File> inner, FaultPlan& plan)
      : inner_(std::move(inner)), plan_(plan) {}

  Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    if (int error = plan_.begin(FileOperation::kRead)) return os_error(error, path() + ": read");
    return inner_->read(offset, into);
  }
  Result<void> write(uint64_t offset, std::span<const std::byte> from) override {
    if (int error = plan_.begin(FileOperation::kWrite)) {
      TRY(inner_->write(offset, from.first(from.size() / 2)));
      return os_error(error, path() + ": write");
    }
    return inner_->write(offset, from);
  }
  Result<void> sync() override {
    TRY(begin_sync(FileOperation::kSync));
    return inner_->sync();
  }
  Result<void> write_out() override {
    TRY(begin_sync(FileOperation::kWriteOut));
    return inner_->write_out();
  }
  Result<uint64_t> size() const override { return inner_->size(); }
  Result<void> resize(uint64_t size_bytes) override { return inner_->resize(size_bytes); }
  Result<void> punch(uint64_t offset, uint64_t length) override {
    if (int error = plan_.begin(FileOperation::kPunch)) return os_error(error, path() + ": punch");
    return inner_->punch(offset, length);
  }
  Result<void> allocate(uint64_t offset, uint64_t length) override {
    if (int error = plan_.begin(FileOperation::kAllocate)) {
      return os_error(error, path() + ": allocate");
    }
    return inner_->allocate(offset, length);
  }
  Result<DataRange> next_data(uint64_t offset) const override { return inner_->next_data(offset); }
  Result<uint64_t> allocated_bytes() const override { return inner_->allocated_bytes(); }
  Result<FileIdentity> identity() const override { return inner_->identity(); }
  const std::string& path() const override { return inner_->path(); }

  File& inner() { return *inner_; }

 private:
  Result<void> begin_sync(FileOperation operation) {
    if (int error = plan_.begin(operation)) {
      poisoned_ = true;
      return Error{Fault::kPoisoned, error, path() + ": sync"};
    }
    if (poisoned_) return Error{Fault::kPoisoned, 0, path() + ": an earlier sync failed"};
    return {};
  }

  const std::unique_ptr<File> inner_;
  FaultPlan& plan_;
  std::atomic<bool> poisoned_ = false;
};

class FaultyDirectory : public Directory {
 public:
  FaultyDirectory(std::unique_ptr<Directory> inner, FaultPlan& plan)
      : inner_(std::move(inner)), plan_(plan) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    if (int error = plan_.begin(FileOperation::kOpen)) {
      return os_error(error, path() + "/" + std::string(name));
    }
    TRY_ASSIGN(auto file, inner_->open(name, mode));
    return std::unique_ptr<File>(std::make_unique<FaultyFile>(std::move(file), plan_));
  }
  Result<std::unique_ptr<Mapping>> map(File& file) override {
    return inner_->map(static_cast<FaultyFile&>(file).inner());
  }
  Result<std::unique_ptr<Directory>> open_directory(std::string_view name) override {
    TRY_ASSIGN(auto directory, inner_->open_directory(name));
    return std::unique_ptr<Directory>(
        std::make_unique<FaultyDirectory>(std::move(directory), plan_));
  }
  Result<void> make_directory(std::string_view name) override {
    return inner_->make_directory(name);
  }
  Result<void> remove(std::string_view name) override {
    if (int error = plan_.begin(FileOperation::kRemove)) {
      return os_error(error, path() + "/" + std::string(name));
    }
    return inner_->remove(name);
  }
  Result<void> remove_directory(std::string_view name) override {
    return inner_->remove_directory(name);
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    return inner_->rename(from, to);
  }
  Result<std::vector<std::string>> list() override { return inner_->list(); }
  Result<void> sync() override {
    if (int error = plan_.begin(FileOperation::kDirectorySync)) {
      return Error{Fault::kPoisoned, error, path() + ": sync of the directory failed"};
    }
    return inner_->sync();
  }
  Result<uint64_t> mount_id() override { return inner_->mount_id(); }
  Result<uint64_t> free_bytes() override {
    if (auto said = plan_.free_bytes()) return *said;
    return inner_->free_bytes();
  }
  const std::string& path() const override { return inner_->path(); }

 private:
  const std::unique_ptr<Directory> inner_;
  FaultPlan& plan_;
};

}  // namespace

void FaultPlan::fail(FileOperation operation, uint64_t nth, int error_number, uint64_t count) {
  std::lock_guard lock(mutex_);
  Rule& rule = rules_[size_t(operation)];
  rule.first = rule.done_count + nth;
  rule.last = rule.first + count - 1;
  rule.error_number = error_number;
}

void FaultPlan::set_free_bytes(uint64_t free_bytes) {
  std::lock_guard lock(mutex_);
  free_bytes_ = free_bytes;
}

std::optional<uint64_t> FaultPlan::free_bytes() const {
  std::lock_guard lock(mutex_);
  return free_bytes_;
}

uint64_t FaultPlan::done_count(FileOperation operation) const {
  std::lock_guard lock(mutex_);
  return rules_[size_t(operation)].done_count;
}

void FaultPlan::before_next(FileOperation operation, std::function<void()> action) {
  std::lock_guard lock(mutex_);
  rules_[size_t(operation)].action = std::move(action);
}

int FaultPlan::begin(FileOperation operation) {
  std::function<void()> action;
  int error_number = 0;
  {
    std::lock_guard lock(mutex_);
    Rule& rule = rules_[size_t(operation)];
    rule.done_count++;
    const bool fails = rule.first <= rule.done_count && rule.done_count <= rule.last;
    if (fails) error_number = rule.error_number;
    action = std::exchange(rule.action, nullptr);
  }
  if (action) action();
  return error_number;
}

Result<std::unique_ptr<Directory>> FaultyFileSystem::open_directory(const std::string& path) {
  TRY_ASSIGN(auto directory, inner_.open_directory(path));
  return std::unique_ptr<Directory>(std::make_unique<FaultyDirectory>(std::move(directory), plan_));
}

Result<std::unique_ptr<File>> FaultyFileSystem::open_foreign(const std::string& path) {
  if (int error = plan_.begin(FileOperation::kOpen)) return os_error(error, path);
  TRY_ASSIGN(auto file, inner_.open_foreign(path));
  return std::unique_ptr<File>(std::make_unique<FaultyFile>(std::move(file), plan_));
}

Result<void> FaultyFileSystem::read(std::span<const ReadPiece> pieces) {
  for (const ReadPiece& piece : pieces) TRY(piece.file->read(piece.offset, piece.into));
  return {};
}

Result<void> FaultyFileSystem::write(std::span<const WritePiece> pieces) {
  for (const WritePiece& piece : pieces) TRY(piece.file->write(piece.offset, piece.from));
  return {};
}

}  // namespace casdisk
