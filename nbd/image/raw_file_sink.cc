#include "nbd/image/raw_file_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace casdisk {
namespace {

// Files of ours are private; an image that somebody exports is as the user's umask says.
void give_usual_mode(const File& file) {
  mode_t mask = ::umask(0);  // can only be read by setting it
  ::umask(mask);
  (void)::fchmod(file.descriptor(), 0666 & ~mask);
}

}  // namespace

RawFileSink::RawFileSink(std::unique_ptr<Directory> directory, std::string name)
    : directory_(std::move(directory)),
      name_(std::move(name)),
      partial_name_(fmt::format("{}.partial-{}", name_, ::getpid())) {}

Result<std::unique_ptr<RawFileSink>> RawFileSink::create(FileSystem& file_system,
                                                         const std::string& path,
                                                         uint64_t size_bytes, IfExists if_exists) {
  std::error_code failure;
  std::filesystem::path place = std::filesystem::absolute(path, failure);
  if (!failure) place = std::filesystem::weakly_canonical(place, failure);  // through links
  if (failure) return os_error(failure.value(), path);
  if (std::filesystem::exists(place, failure) && if_exists == IfExists::kFail) {
    return Error{Fault::kExists, 0, path + " exists already; --force replaces it"};
  }
  TRY_ASSIGN(auto directory, file_system.open_directory(place.parent_path()));
  std::unique_ptr<RawFileSink> sink(new RawFileSink(std::move(directory), place.filename()));
  TRY_ASSIGN(sink->file_, sink->directory_->open(sink->partial_name_, OpenMode::kCreate));
  give_usual_mode(*sink->file_);
  TRY(sink->file_->resize(size_bytes));
  return sink;
}

RawFileSink::~RawFileSink() {
  if (file_ && !finished_) (void)directory_->remove(partial_name_).ok();
}

// The device begins with it while the next is being made; should it fail, the sync will tell.
Result<void> RawFileSink::write(uint64_t offset, std::span<const std::byte> bytes) {
  TRY(file_->write(offset, bytes));
  (void)::sync_file_range(file_->descriptor(), off64_t(offset), off64_t(bytes.size()),
                          SYNC_FILE_RANGE_WRITE);
  return {};
}

Result<void> RawFileSink::finish() {
  TRY(file_->sync());
  TRY(directory_->rename(partial_name_, name_));
  finished_ = true;
  return directory_->sync();
}

}  // namespace casdisk
