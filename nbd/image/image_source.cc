#include "nbd/image/image_source.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "index/file_image.h"
#include "nbd/image/image_check.h"
#include "nbd/image/image_format.h"
#include "nbd/image/nbd_door.h"
#include "nbd/image/stream_image.h"

namespace casdisk {
namespace {

Error compressed(const std::string& name, std::string_view tool) {
  return Error{
      Fault::kInvalid, 0,
      fmt::format("{} is compressed; `{} -dc {} | casdisk import - NAME` takes what is in it, "
                  "--format raw the bytes as they are",
                  name, tool, name == "stdin" ? "FILE" : name)};
}

Result<OpenedSource> open_stdin(const std::optional<std::string>& format,
                                const std::function<bool()>& stop) {
  if (::isatty(STDIN_FILENO) == 1) {
    return Error{Fault::kInvalid, 0, "stdin is a terminal; pipe the raw image into it"};
  }
  auto stream = std::make_unique<StreamImage>(STDIN_FILENO, "stdin", stop);
  if (!format) {
    TRY_ASSIGN(Bytes head, stream->peek(kImageHeadBytes));
    auto found = image_format(head);
    if (found && found->is_compressed) return compressed("stdin", found->name);
    if (found) {
      return Error{
          Fault::kInvalid, 0,
          fmt::format("stdin holds a {} image, which cannot be read as a stream; import it "
                      "from a file, or say --format raw",
                      found->name)};
    }
  } else if (*format != "raw") {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("a {} image cannot be read as a stream; import it from a file", *format)};
  }
  return OpenedSource{std::move(stream), "raw", false};
}

// What begins a regular file; nothing of anything else.
Result<Bytes> head_of_file(FileSystem& file_system, const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return os_error(errno, path);
  if (!S_ISREG(status.st_mode)) return Bytes();
  TRY_ASSIGN(auto file, file_system.open_foreign(path));
  TRY_ASSIGN(uint64_t size_bytes, file->size());
  Bytes head(std::min<uint64_t>(kImageHeadBytes, size_bytes));
  TRY(file->read(0, head));
  return head;
}

Result<void> check_vdi_length(FileSystem& file_system, const std::string& path) {
  TRY_ASSIGN(Bytes head, head_of_file(file_system, path));
  std::optional<uint64_t> needed_bytes = vdi_file_bytes(head);
  if (!needed_bytes) return {};
  TRY_ASSIGN(auto file, file_system.open_foreign(path));
  TRY_ASSIGN(uint64_t size_bytes, file->size());
  if (size_bytes >= *needed_bytes) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{} was cut short: {} bytes, and its header speaks of {}; get the whole "
                           "image",
                           path, size_bytes, *needed_bytes)};
}

Result<OpenedSource> open_through_qemu(FileSystem& file_system, const std::string& path,
                                       const std::string& format,
                                       const std::function<bool()>& stop) {
  auto program = find_qemu_tool("qemu-nbd");
  if (!program.ok()) {
    program.error().context =
        fmt::format("{} is a {} image; {}", path, format, program.error().context);
    return std::move(program.error());
  }
  // An absolute path: qemu takes "a:b" for a protocol.
  std::error_code failure;
  std::string absolute = std::filesystem::absolute(path, failure);
  if (failure) return os_error(failure.value(), path);
  if (format == "vdi") TRY(check_vdi_length(file_system, absolute));
  TRY(check_image(absolute, format, stop));
  std::vector<std::string> command = {program.value(), "--read-only", "--format=" + format, "--",
                                      absolute};
  TRY_ASSIGN(const NbdDoor* nbd, nbd_door());
  TRY_ASSIGN(auto source, nbd->source_of_command(std::move(command), path, stop));
  return OpenedSource{std::move(source), format, false};
}

}  // namespace

Result<OpenedSource> open_image_source(FileSystem& file_system, const std::string& text,
                                       const std::optional<std::string>& format,
                                       const std::function<bool()>& stop) {
  if (format && !is_known_format(*format)) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("--format {:?} is none of {}", *format, known_formats())};
  }
  if (text == "-") return open_stdin(format, stop);
  if (is_nbd_uri(text)) {
    if (format && *format != "raw") {
      return Error{Fault::kInvalid, 0, "an NBD server's export is raw; leave --format out"};
    }
    TRY_ASSIGN(const NbdDoor* nbd, nbd_door());
    TRY_ASSIGN(auto source, nbd->source_of_uri(text, stop));
    return OpenedSource{std::move(source), "nbd", false};
  }
  std::error_code failure;
  if (text.empty()) {
    return Error{Fault::kInvalid, 0, "SRC is empty: name a file, a device, - or an NBD URI"};
  }
  if (text.find("://") != text.npos && !std::filesystem::exists(text, failure)) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("{} is no file, and of URIs only those of NBD are read; download it "
                             "first",
                             text)};
  }
  if (format && *format != "raw") {
    return open_through_qemu(file_system, text, *format, stop);
  }
  if (!format) {
    TRY_ASSIGN(Bytes head, head_of_file(file_system, text));
    auto found = image_format(head);
    if (found && found->is_compressed) return compressed(text, found->name);
    if (found) {
      TRY_ASSIGN(auto opened, open_through_qemu(file_system, text, std::string(found->name), stop));
      opened.was_detected = true;
      return opened;
    }
  }
  TRY_ASSIGN(auto image, FileImage::open(file_system, text));
  return OpenedSource{std::move(image), "raw", false};
}

}  // namespace casdisk
