#include "nbd/kv/line_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

constexpr size_t kReadBytes = size_t(64) << 10;

}  // namespace

Result<LineReader> LineReader::open(const std::string& path, size_t max_line_bytes) {
  if (path == "-") return LineReader(STDIN_FILENO, "stdin", max_line_bytes);
  const int descriptor =
      retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor < 0) return os_error(errno, path);
  LineReader reader(descriptor, path, max_line_bytes);
  reader.is_owner_ = true;
  return reader;
}

LineReader::LineReader(int descriptor, std::string name, size_t max_line_bytes)
    : descriptor_(descriptor), name_(std::move(name)), max_line_bytes_(max_line_bytes) {}

LineReader::LineReader(LineReader&& other) noexcept
    : descriptor_(other.descriptor_),
      is_owner_(std::exchange(other.is_owner_, false)),
      name_(std::move(other.name_)),
      max_line_bytes_(other.max_line_bytes_),
      buffer_(std::move(other.buffer_)),
      begin_(other.begin_),
      is_at_end_(other.is_at_end_),
      number_(other.number_) {}

LineReader::~LineReader() {
  if (is_owner_) ::close(descriptor_);
}

Error LineReader::at_line(Error error) const {
  error.context = fmt::format("{}:{}: {}", name_, number_, error.context);
  return error;
}

// False at the end.
Result<bool> LineReader::read_more() {
  if (is_at_end_) return false;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const size_t had = buffer_.size();
  buffer_.resize(had + kReadBytes);
  const ssize_t got =
      retry_interrupted([&] { return ::read(descriptor_, buffer_.data() + had, kReadBytes); });
  buffer_.resize(had + size_t(std::max<ssize_t>(got, 0)));
  if (got < 0) return os_error(errno, name_);
  is_at_end_ = got == 0;
  return !is_at_end_;
}

Result<std::optional<std::string_view>> LineReader::next() {
  size_t searched = 0;
  size_t end = buffer_.find('\n', begin_);
  while (end == buffer_.npos) {
    searched = buffer_.size() - begin_;
    if (searched > max_line_bytes_ + 1) break;
    TRY_ASSIGN(const bool is_more, read_more());
    if (!is_more) break;
    end = buffer_.find('\n', begin_ + searched);
  }
  if (end == buffer_.npos && begin_ == buffer_.size()) return std::optional<std::string_view>();
  number_++;
  const size_t line_end = std::min(end, buffer_.size());
  std::string_view line = std::string_view(buffer_).substr(begin_, line_end - begin_);
  begin_ = line_end + (end == buffer_.npos ? 0 : 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() <= max_line_bytes_) return std::optional(line);
  return at_line(
      Error{Fault::kTooLarge, 0,
            fmt::format("a line longer than {} bytes, which no record takes here", max_line_bytes_),
            max_line_bytes_, line.size()});
}

}  // namespace casdisk
