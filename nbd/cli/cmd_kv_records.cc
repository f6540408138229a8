// casdisk kv get, put, delete
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "nbd/cli/exit.h"
#include "nbd/cli/kv_commands.h"
#include "nbd/cli/kv_session.h"
#include "nbd/duration_text.h"
#include "nbd/kv/record_json.h"
#include "nbd/kv/record_text.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

constexpr size_t kDeletedTogether = 10'000;  // keys of stdin that are removed by one call

Error usage(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// All of a file, or of stdin ("-"), if it is no larger than a value may be.
Result<std::string> read_value(const std::string& path, const KvStore& store) {
  const size_t most_bytes = store.limits().value_bytes;
  std::unique_ptr<std::FILE, CloseFile> opened;
  if (path != "-") opened.reset(std::fopen(path.c_str(), "re"));
  std::FILE* const file = path == "-" ? stdin : opened.get();
  const std::string name = path == "-" ? "stdin" : path;
  if (file == nullptr) return os_error(errno, name);
  std::string bytes;
  char piece[16384];
  while (bytes.size() <= most_bytes) {
    const size_t got = std::fread(piece, 1, sizeof piece, file);
    if (got == 0) break;
    bytes.append(piece, got);
  }
  if (std::ferror(file) != 0) return os_error(errno, name);
  if (bytes.size() <= most_bytes) return bytes;
  return Error{Fault::kTooLarge, 0,
               fmt::format("{}: a value of more than {} bytes, the most that {} holds", name,
                           most_bytes, store.name()),
               most_bytes, bytes.size()};
}

Result<std::string> value_of(const Arguments& arguments, const KvStore& store) {
  const auto file = arguments.text("file");
  const bool is_given = arguments.positional_count() > 2;
  if (is_given == file.has_value()) {
    return usage("kv put: give the value as VALUE (- for stdin), or --file FILE, one of them");
  }
  if (file) return read_value(*file, store);
  if (arguments.positional(2) == "-") return read_value("-", store);
  return kv_argument(arguments, 2, "VALUE");
}

Result<KvPutOptions> put_options(const Arguments& arguments) {
  KvPutOptions options;
  options.if_absent = arguments.has("if-absent");
  TRY_ASSIGN(options.if_version, arguments.number("if-version", 0, UINT64_MAX));
  if (const auto ttl = arguments.text("ttl")) {
    TRY_ASSIGN(options.ttl_ms, parse_duration(*ttl, "--ttl"));
    if (options.ttl_ms == 0) return usage("--ttl 0: leave it out for a record that stays");
  }
  if (options.if_absent && options.if_version) {
    return usage("kv put: --if-absent and --if-version cannot both hold");
  }
  const bool is_conditional = options.if_absent || options.if_version;
  if (arguments.has("append") && (is_conditional || options.ttl_ms != 0)) {
    return usage("kv put: --append goes with no condition and no --ttl");
  }
  return options;
}

Json key_json(std::string_view key) {
  Json json = Json::object();
  add_json_bytes(json, "key", key);
  return json;
}

// Keys of stdin, one a line, in slices, so that any number may come.
Result<uint64_t> delete_listed(KvStore& store) {
  TRY_ASSIGN(auto lines, LineReader::open("-", kMaxEscapedBytes * kMaxSoughtKeyBytes));
  uint64_t removed_count = 0;
  std::vector<std::string> keys;
  for (;;) {
    TRY_ASSIGN(const auto line, lines.next());
    if (keys.size() == kDeletedTogether || (!line && !keys.empty())) {
      TRY_ASSIGN(const uint64_t count, store.remove_many(keys));
      removed_count += count;
      keys.clear();
    }
    if (!line) return removed_count;
    if (line->empty()) continue;
    auto key = unescape_text(*line);
    if (!key.ok()) return lines.at_line(std::move(key.error()));
    keys.push_back(std::move(key).value());
  }
}

Result<uint64_t> delete_named(KvStore& store, const std::vector<std::string>& keys,
                              std::optional<uint64_t> if_version) {
  if (keys.size() > 1) return store.remove_many(keys);
  TRY_ASSIGN(const bool was_there, store.remove(keys[0], if_version));
  return uint64_t(was_there ? 1 : 0);
}

}  // namespace

Syntax kv_get_syntax() {
  return {
      .positionals = {{"URL"}, {"KEY"}},
      .options = {kKvEscapedOption, kKvTimingOption},
      .about =
          "Prints the value byte for byte, with nothing added. On a terminal it is a line, with\n"
          "what does not print as \\xNN.",
      .exit_codes = "  1 when there is no such key\n",
      .examples =
          "  casdisk kv get lmdb:/var/lib/app/kv config > config\n"
          "  casdisk kv get hyperv:external HostName\n"};
}

Result<int> run_kv_get(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const std::string key, kv_argument(arguments, 1, "KEY"));
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kExisting));
  TRY_ASSIGN(auto value, store->get(key));
  if (!value) {
    return Error{
        Fault::kNotFound, 0,
        fmt::format("{}: no key {}; `casdisk kv ls` lists them", store->name(), kv_quote(key))};
  }
  Console& console = session.console();
  if (console.is_json()) {
    TRY(console.print(json_text(record_json({key, std::move(*value)}))));
  } else if (::isatty(STDOUT_FILENO) == 1) {
    TRY(console.print(escape_text(value->bytes) + "\n"));
  } else {
    TRY(console.print(value->bytes));
  }
  return kExitDone;
}

Syntax kv_put_syntax() {
  return {
      .positionals = {{"URL"}, {"KEY"}, {"VALUE", false}},
      .options = {{"file", "FILE", "the value is all of FILE"},
                  {"ttl", "TIME", "it expires then: 60s to 365d, a number with s, m, h, d or w"},
                  {"if-absent", "", "only where the key is not there"},
                  {"if-version", "N", "only where the key is at this version, as get --json says"},
                  {"append", "",
                   "one more record under the key, behind those that are there;\n"
                   "where a store can have that (hyperv)"},
                  kKvEscapedOption,
                  kKvCapacityOption,
                  kKvTimingOption},
      .about =
          "Writes VALUE under KEY, whatever was there. VALUE - is all of stdin. A store that does\n"
          "not exist is made, except inside a store of disks.",
      .exit_codes = "  1 when a condition does not hold; nothing is changed then\n",
      .examples =
          "  casdisk kv put lmdb:/var/lib/app/kv lease/web node-7 --if-absent --ttl 90s\n"
          "  casdisk kv put redis+unix:///run/redis.sock config - < config\n"};
}

Result<int> run_kv_put(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const KvPutOptions options, put_options(arguments));
  TRY_ASSIGN(const std::string key, kv_argument(arguments, 1, "KEY"));
  TRY(expect_readable(arguments.text("file").value_or("-")));
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kMayMake));
  TRY_ASSIGN(std::string value, value_of(arguments, *store));
  const size_t size_bytes = value.size();
  uint64_t version = 0;
  if (arguments.has("append")) {
    const KvRecord record{key, {std::move(value)}};
    TRY(store->append({&record, 1}));
  } else {
    auto put = store->put(key, value, options);
    if (!put.ok()) return with_capacity_hint(std::move(put.error()), *store);
    version = put.value();
  }
  std::string text = fmt::format("{}: {}", escape_key(key), plural(size_bytes, "byte"));
  if (version != 0) text += fmt::format(", version {}", version);
  Json json = key_json(key);
  json["size_bytes"] = size_bytes;
  json["version"] = version == 0 ? Json() : Json(version);
  session.console().answer(text + "\n", json);
  return kExitDone;
}

Syntax kv_delete_syntax() {
  return {
      .positionals = {{"URL"}, {"KEY...", true, true}},
      .options = {{"if-version", "N", "of one key: only where it is at this version"},
                  kKvEscapedOption,
                  kKvCapacityOption,
                  kKvTimingOption},
      .about =
          "Removes every record of each KEY, and says how many there were. KEY - alone takes the\n"
          "keys from stdin, one a line, as `casdisk kv ls` prints them. What fits into a batch of\n"
          "the store is removed in one step.",
      .exit_codes = "  1 when none of the keys was there, or a condition does not hold\n",
      .examples =
          "  casdisk kv delete lmdb:/var/lib/app/kv a b c\n"
          "  casdisk kv ls $URL --prefix old/ | casdisk kv delete $URL -\n"};
}

Result<int> run_kv_delete(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto if_version, arguments.number("if-version", 0, UINT64_MAX));
  const bool is_listed = arguments.positional(1) == "-";
  if (is_listed && arguments.positional_count() > 2) {
    return usage("kv delete: - takes the keys from stdin, and stands alone");
  }
  if (if_version && (is_listed || arguments.positional_count() > 2)) {
    return usage("kv delete: --if-version goes with one key");
  }
  std::vector<std::string> keys;
  for (size_t i = 1; i < arguments.positional_count(); i++) {
    TRY_ASSIGN(std::string key, kv_argument(arguments, i, "KEY"));
    keys.push_back(std::move(key));
  }
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kToRemove));
  auto removed = is_listed ? delete_listed(*store) : delete_named(*store, keys, if_version);
  if (!removed.ok()) return with_capacity_hint(std::move(removed.error()), *store);
  session.console().answer(plural(removed.value(), "record") + " removed\n",
                           {{"removed_count", removed.value()}});
  return removed.value() > 0 ? kExitDone : kExitNo;
}

}  // namespace casdisk
