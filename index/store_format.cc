#include "index/store_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <vector>

#include "cas/local_store.h"
#include "cas/os/replace_file.h"
#include "index/catalog.h"

namespace casdisk {
namespace {

constexpr uint64_t kMaxFormatBytes = 256;
constexpr std::string_view kBeforeFormat = "casdisk store, format ", kBeforeCodec = ", codec ";
constexpr std::array<std::string_view, 5> kDirectories = {"packs", "locations", "meta", "disks",
                                                          "leases"};

constexpr std::string_view kUnsyncedNames = "names.unsynced";

Error no_store(const std::string& path) {
  return Error{
      Fault::kNotFound, 0,
      fmt::format("{} is not a casdisk store; `casdisk --store {} init` makes one", path, path)};
}

// An empty catalog is a file all the same, so that a lost one can be told from it.
Result<void> make_catalog(Machine& machine, Directory& store) {
  TRY_ASSIGN(auto environment,
             machine.open_environment(store.path() + "/meta", {.map_bytes = kMetaMapBytes}));
  Catalog catalog(*environment);
  TRY(catalog.update([](CatalogWriter& writer) { return writer.begin_uids(); }));
  TRY_ASSIGN(auto meta, store.open_directory("meta"));
  return meta->sync();
}

// Here and not when the store is first opened: should the sync of its name fail, there is no store.
Result<void> make_location_table(Machine& machine, Directory& store) {
  TRY(LocationTable::open(machine, store.path() + "/locations",
                          {LocalStoreOptions().map_bytes, {}}));
  TRY_ASSIGN(auto locations, store.open_directory("locations"));
  return locations->sync();
}

// An empty file is none: LMDB would make a new environment of it.
Result<bool> has_environment(Directory& store, std::string_view name) {
  auto directory = store.open_directory(name);
  if (directory.ok()) {
    auto file = directory.value()->open("data.mdb", OpenMode::kRead);
    if (file.ok()) {
      TRY_ASSIGN(const uint64_t size_bytes, file.value()->size());
      return size_bytes > 0;
    }
    directory = std::move(file.error());
  }
  if (directory.error().fault == Fault::kNotFound) return false;
  return std::move(directory.error());
}

}  // namespace

std::string uid_name(uint64_t uid) { return fmt::format("{:08x}", uid); }

std::optional<uint64_t> uid_from_name(const std::string& name) {
  uint64_t uid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid, 16);
  if (error != std::errc() || uid_name(uid) != name) return std::nullopt;
  return uid;
}

std::string encode_store_format(Codec codec) {
  return fmt::format("{}{}{}{}\n", kBeforeFormat, kStoreFormat, kBeforeCodec, codec_name(codec));
}

Result<Codec> decode_store_format(std::string_view line) {
  const Error damaged{Fault::kDamaged, 0, "is damaged: it does not say what store it is"};
  if (!line.starts_with(kBeforeFormat) || !line.ends_with('\n')) return damaged;
  const char* end = line.data() + line.size();
  unsigned format = 0;
  auto [rest, failure] = std::from_chars(line.data() + kBeforeFormat.size(), end, format);
  if (failure != std::errc()) return damaged;
  if (format != kStoreFormat) {
    return Error{Fault::kUnsupported, 0,
                 fmt::format("says format {}, this program knows {}", format, kStoreFormat)};
  }
  std::string_view name(rest, size_t(end - rest) - 1);
  if (!name.starts_with(kBeforeCodec)) return damaged;
  name.remove_prefix(kBeforeCodec.size());
  auto codec = codec_from_name(name);
  if (!codec) {
    return Error{Fault::kDamaged, 0, fmt::format("names an unknown codec {:?}", name)};
  }
  if (line != encode_store_format(*codec)) return damaged;  // "format 01"
  return *codec;
}

Result<void> check_catalog_exists(Directory& store) {
  TRY_ASSIGN(const bool exists, has_environment(store, "meta"));
  if (exists) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{}/meta/data.mdb is missing: the names of all disks and checkpoints "
                           "were in it. Nothing was changed; bring it back from a copy, or make "
                           "it anew from the packs: `casdisk repair --rebuild`",
                           store.path())};
}

Result<void> check_table_exists(Directory& store) {
  TRY_ASSIGN(const bool exists, has_environment(store, "locations"));
  if (exists) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{}/locations/data.mdb is missing: it says where in the packs each "
                           "chunk lies. Nothing was changed; make it anew from the packs: "
                           "`casdisk repair --rebuild`",
                           store.path())};
}

Result<void> make_directories(FileSystem& file_system, const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failure;
  fs::path missing = fs::weakly_canonical(fs::absolute(path), failure);
  if (!missing.has_filename()) missing = missing.parent_path();  // "store/"
  std::vector<std::string> changed;
  for (; missing.has_relative_path() && !fs::exists(missing, failure);
       missing = missing.parent_path()) {
    changed.push_back(missing.parent_path());
  }
  fs::create_directories(path, failure);
  if (failure) return os_error(failure.value(), "cannot make " + path);
  for (const std::string& parent : changed) {
    TRY_ASSIGN(auto directory, file_system.open_directory(parent));
    TRY(directory->sync());
  }
  return {};
}

Result<void> make_store_directory(FileSystem& file_system, Machine& machine,
                                  const std::string& path, Codec codec) {
  TRY_ASSIGN(auto directory, file_system.open_directory(path));
  TRY_ASSIGN(auto names, directory->list());
  if (std::find(names.begin(), names.end(), "format") != names.end()) {
    return Error{Fault::kExists, 0, path + " is a casdisk store already"};
  }
  for (const std::string& name : names) {
    bool ours = std::find(kDirectories.begin(), kDirectories.end(), name) != kDirectories.end();
    if (!ours && name != "format.new" && name != kUnsyncedNames && name != "lost+found") {
      return Error{
          Fault::kInvalid, 0,
          fmt::format("{} holds {:?}: a store is made in a new or empty directory", path, name)};
    }
  }
  for (std::string_view name : kDirectories) TRY(directory->make_directory(name));
  TRY(make_catalog(machine, *directory));
  TRY(make_location_table(machine, *directory));
  TRY(begin_names(*directory));
  TRY(replace_file(*directory, "format", as_bytes(encode_store_format(codec))));
  end_names(*directory);
  return {};
}

Result<void> begin_names(Directory& store) {
  TRY(store.open(kUnsyncedNames, OpenMode::kCreateAny));
  return {};
}

// One that stays, or comes back with a power cut, costs the next opening a sync.
void end_names(Directory& store) { (void)store.remove(kUnsyncedNames).ok(); }

Result<void> settle_names(Directory& store) {
  auto file = store.open(kUnsyncedNames, OpenMode::kRead);
  if (!file.ok()) {
    return file.error().fault == Fault::kNotFound ? Result<void>() : std::move(file.error());
  }
  TRY(store.sync());
  end_names(store);
  return {};
}

Result<Codec> read_store_format(FileSystem& file_system, const std::string& path) {
  auto directory = file_system.open_directory(path);
  if (!directory.ok()) {
    if (directory.error().fault == Fault::kNotFound) return no_store(path);
    return std::move(directory.error());
  }
  auto file = directory.value()->open("format", OpenMode::kRead);
  if (!file.ok()) {
    if (file.error().fault == Fault::kNotFound) return no_store(path);
    return std::move(file.error());
  }
  TRY_ASSIGN(uint64_t size_bytes, file.value()->size());
  Bytes bytes(std::min(size_bytes, kMaxFormatBytes));
  TRY(file.value()->read(0, bytes));
  std::string line(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto codec = decode_store_format(line);
  if (codec.ok()) return codec;
  return Error{codec.error().fault, 0, fmt::format("{}/format {}", path, codec.error().context)};
}

}  // namespace casdisk
