// LineReader: the lines of a file or a pipe, with their numbers, none longer than a bound.
//
// A line ends with a newline, or with a carriage return and a newline; the last one may lack both.
// Not safe for concurrent use.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

class LineReader {
 public:
  // Opens a file; "-" is stdin. kNotFound, kIo.
  static Result<LineReader> open(const std::string& path, size_t max_line_bytes);
  // Of a descriptor, which stays open and the caller's.
  LineReader(int descriptor, std::string name, size_t max_line_bytes);
  ~LineReader();
  LineReader(LineReader&& other) noexcept;
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Without its end, and valid until the next call; nothing behind the last one. kTooLarge, kIo.
  Result<std::optional<std::string_view>> next();

  const std::string& name() const { return name_; }  // "stdin"
  uint64_t number() const { return number_; }        // of the last line; the first is 1
  // An error of the line that was read last: "records:12: no '='".
  Error at_line(Error error) const;

 private:
  Result<bool> read_more();

  // Fixed after construction, but for a reader that was moved from.
  int descriptor_;
  bool is_owner_ = false;
  std::string name_;
  size_t max_line_bytes_;

  std::string buffer_;
  size_t begin_ = 0;  // in buffer_, of what was not returned yet
  bool is_at_end_ = false;
  uint64_t number_ = 0;
};

}  // namespace casdisk
