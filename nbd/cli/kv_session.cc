#include "nbd/cli/kv_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "index/store_format.h"
#include "nbd/kv/record_text.h"
#include "nbd/kv/timing_text.h"
#include "remotes/kv/kv_schemes.h"

namespace casdisk {

const OptionSyntax kKvCapacityOption = {
    "capacity", "SIZE", "of lmdb: the most that the store will ever hold (default 1G)"};
const OptionSyntax kKvEscapedOption = {
    "escaped", "", "in KEY and VALUE, \\\\ is a backslash and \\xNN a byte, as in a dump"};
const OptionSyntax kKvFormOption = {
    "form", "FORM", "of the records: text (default), or json (default with --json)"};
const OptionSyntax kKvTimingOption = {"timing", "",
                                      "say on stderr what each operation took; no keys, no values"};

namespace {

constexpr size_t kFormatLineBytes = 256;

bool is_store_of_disks(const std::filesystem::path& directory) {
  std::ifstream file(directory / "format", std::ios::binary);
  std::string line(kFormatLineBytes, '\0');
  file.read(line.data(), std::streamsize(line.size()));
  line.resize(size_t(file.gcount()));
  const auto codec = decode_store_format(line);
  return codec.ok() || codec.error().fault == Fault::kUnsupported;
}

}  // namespace

std::optional<std::string> store_of_disks_around(const std::string& url) {
  const size_t colon = url.find(':');
  const std::string scheme = url.substr(0, colon);
  if (scheme != "lmdb" && scheme != "rocksdb") return std::nullopt;
  const std::string path = url.substr(colon + 1, url.find('?') - colon - 1);
  std::error_code failed;
  auto directory = std::filesystem::absolute(path, failed);
  if (!failed) directory = std::filesystem::weakly_canonical(directory, failed);
  if (failed) return std::nullopt;                                     // opening it says why
  if (!directory.has_filename()) directory = directory.parent_path();  // "PATH/"
  for (;; directory = directory.parent_path()) {
    if (is_store_of_disks(directory)) return directory.string();
    if (directory == directory.parent_path()) return std::nullopt;
  }
}

Result<std::unique_ptr<KvStore>> open_named_kv(Session& session, const Arguments& arguments,
                                               const std::string& url, KvUse use) {
  const auto around = store_of_disks_around(url);
  KvOpenOptions options;
  options.may_create = use == KvUse::kMayMake && !around;
  options.is_to_remove = use == KvUse::kToRemove;
  TRY_ASSIGN(const auto capacity_bytes, arguments.size("capacity"));
  options.capacity_bytes = capacity_bytes.value_or(options.capacity_bytes);
  if (arguments.has("timing")) {
    options.on_operation = [&console = session.console()](const KvTiming& timing) {
      console.note(timing_text(timing));
    };
  }
  auto opened = open_kv(url, options, all_kv_schemes());
  if (opened.ok() || !around) return opened;
  opened.error().context += fmt::format(
      "; it is in {}, a store of disks, where this command makes nothing and opens only what is a "
      "key-value store",
      *around);
  return opened;
}

Error with_capacity_hint(Error error, const KvStore& store) {
  const bool is_full_map =
      error.fault == Fault::kNoSpace && error.os_error == 0 && store.name().starts_with("lmdb:");
  if (is_full_map) error.context += "; --capacity SIZE lets it hold more";
  return error;
}

Result<std::string> kv_argument(const Arguments& arguments, size_t i, const std::string& name) {
  const std::string& given = arguments.positional(i);
  if (!arguments.has("escaped")) return given;
  auto unescaped = unescape_text(given);
  if (!unescaped.ok()) unescaped.error().context = name + ": " + unescaped.error().context;
  return unescaped;
}

Result<void> expect_readable(const std::string& path) {
  if (path == "-" || ::access(path.c_str(), R_OK) == 0) return {};
  return os_error(errno, path);
}

Result<RecordForm> kv_form(const Session& session, const Arguments& arguments) {
  const auto form = arguments.text("form");
  if (!form) return session.options().json ? RecordForm::kJson : RecordForm::kText;
  if (*form == "text") return RecordForm::kText;
  if (*form == "json") return RecordForm::kJson;
  return Error{Fault::kInvalid, 0, fmt::format("--form {:?}: give text or json", *form)};
}

}  // namespace casdisk
