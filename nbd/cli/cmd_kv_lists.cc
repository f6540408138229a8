// casdisk kv ls, dump, load
#include <fmt/format.h>

#include "nbd/cli/exit.h"
#include "nbd/cli/kv_commands.h"
#include "nbd/cli/kv_session.h"
#include "nbd/kv/record_json.h"
#include "nbd/kv/record_text.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

Error usage(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

// As a line.
std::string printed(const KvRecord& record, RecordForm form, JsonOf what) {
  if (form == RecordForm::kJson) return json_text(record_json(record, what));
  return what == JsonOf::kRecord ? encode_record_line(record) : escape_key(record.key) + "\n";
}

Result<void> say_cursor(Console& console, const std::string& cursor) {
  if (console.is_json()) return console.print(json_text({{"cursor", cursor}}));
  console.note("there are more: --cursor " + cursor);
  return {};
}

Result<void> load_all(KvStore& store, const std::string& path,
                      const std::vector<KvRecord>& records) {
  if (records.empty()) {
    return usage(
        fmt::format("{}: no record, and a load replaces everything; `casdisk kv truncate` "
                    "empties a store",
                    path));
  }
  return store.load(records);
}

// A store that cannot be replaced in one step is not loaded step by step behind one's back.
Result<void> expect_load(const KvStore& store, bool appends) {
  const KvCapabilities can = store.capabilities();
  if (can.has(appends ? KvCapability::kAppend : KvCapability::kLoad)) return {};
  if (appends) {
    return Error{Fault::kUnsupported, 0,
                 store.name() +
                     ": load --append: this kind of store has one record for each key; nothing was "
                     "changed"};
  }
  return Error{Fault::kUnsupported, 0,
               store.name() +
                   ": load: this kind of store cannot replace everything in one step; load into "
                   "another one, lmdb:DIRECTORY, and `casdisk kv copy` that here; nothing was "
                   "changed"};
}

}  // namespace

Syntax kv_ls_syntax() {
  return {
      .positionals = {{"URL"}},
      .options = {{"prefix", "TEXT", "only keys that begin with TEXT"},
                  {"values", "", "KEY=VALUE, as in a dump, and not the key alone"},
                  {"limit", "N", "a page of 1 to 1000 records, and the cursor of the next one"},
                  {"cursor", "CURSOR", "go on behind the page that said so, with its --prefix"},
                  kKvEscapedOption,
                  kKvTimingOption},
      .about =
          "Lists the keys in their order, those that have expired left out, one of each. What is\n"
          "written meanwhile is listed or not. --escaped is for TEXT. With --json each record is\n"
          "a line of its own, and the cursor, if there is one, the last.",
      .examples =
          "  casdisk kv ls lmdb:/var/lib/app/kv --prefix lease/\n"
          "  casdisk kv ls hyperv:guest --values\n"};
}

Result<int> run_kv_ls(Session& session, const Arguments& arguments) {
  KvListOptions options;
  TRY_ASSIGN(const auto limit, arguments.number("limit", 1, kMaxKvPageCount));
  options.limit_count = size_t(limit.value_or(kMaxKvPageCount));
  options.cursor = arguments.text("cursor");
  const JsonOf what = arguments.has("values") ? JsonOf::kRecord : JsonOf::kKey;
  options.with_values = what == JsonOf::kRecord;
  std::string prefix = arguments.text("prefix").value_or("");
  if (arguments.has("escaped")) {
    TRY_ASSIGN(prefix, unescape_text(prefix));
  }
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kExisting));
  Console& console = session.console();
  const RecordForm form = console.is_json() ? RecordForm::kJson : RecordForm::kText;
  size_t left = limit ? options.limit_count : SIZE_MAX;
  for (;;) {
    options.limit_count = std::min(left, kMaxKvPageCount);
    TRY_ASSIGN(KvPage page, store->list(prefix, options));
    for (const KvRecord& record : page.records) TRY(console.print(printed(record, form, what)));
    left -= page.records.size();
    options.cursor = std::move(page.cursor);
    if (!options.cursor || left == 0) break;
  }
  if (options.cursor) TRY(say_cursor(console, *options.cursor));
  return kExitDone;
}

Syntax kv_dump_syntax() {
  return {
      .positionals = {{"URL"}},
      .options = {kKvFormOption, kKvTimingOption},
      .about =
          "Prints every record as it is stored, in the store's own order, duplicates too, one a\n"
          "line:\n"
          "  KEY=VALUE\n"
          "  \\expires:MS KEY=VALUE     it expires then, in ms since 1970\n"
          "In them \\\\ is a backslash and \\xNN a byte. As JSON, bytes that are not UTF-8 are\n"
          "\"key_base64\" and \"value_base64\". `casdisk kv load` reads both forms. It is of one\n"
          "moment only where nobody writes, or the store is etcd.",
      .examples =
          "  casdisk kv dump lmdb:/var/lib/app/kv > backup\n"
          "  casdisk kv dump hyperv:auto --json | jq -r .key\n"};
}

Result<int> run_kv_dump(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const RecordForm form, kv_form(session, arguments));
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kExisting));
  Console& console = session.console();
  TRY(store->dump([&](const KvRecord& record) {
    return console.print(printed(record, form, JsonOf::kRecord));
  }));
  return kExitDone;
}

Syntax kv_load_syntax() {
  return {
      .positionals = {{"URL"}, {"FILE", false}},
      .options = {{"append", "",
                   "add the records behind those that are there, in one step; where a\n"
                   "store can have several under a key (hyperv)"},
                  kKvFormOption,
                  kKvCapacityOption,
                  kKvTimingOption},
      .about =
          "Replaces everything in the store by the records of FILE, or of stdin (-): all of them,\n"
          "in one step, or after an error none. `casdisk kv dump --help` has the form of a line;\n"
          "blank ones are skipped. All is read and checked first, and held in memory: 1 GiB at\n"
          "most. Of a pipe that breaks, the lines that came are a whole file: dump into a file,\n"
          "or `casdisk kv copy`.",
      .exit_codes = "  2 for a line that is no record, with its number\n",
      .examples =
          "  casdisk kv load lmdb:/var/lib/app/kv backup\n"
          "  printf 'a=1\\nb=2\\n' | casdisk kv load hyperv:guest --append\n"};
}

Result<int> run_kv_load(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const RecordForm form, kv_form(session, arguments));
  const bool appends = arguments.has("append");
  const std::string path = arguments.positional_count() > 1 ? arguments.positional(1) : "-";
  TRY(expect_readable(path));
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kMayMake));
  TRY(expect_load(*store, appends));
  const bool takes_duplicates = store->capabilities().has(KvCapability::kAppend);
  TRY_ASSIGN(auto reader, RecordReader::open(path, form, *store));
  TRY_ASSIGN(const auto records,
             read_records(reader, takes_duplicates ? Duplicates::kKept : Duplicates::kRefused));
  auto done = appends ? store->append(records) : load_all(*store, reader.lines().name(), records);
  if (!done.ok()) return with_capacity_hint(std::move(done.error()), *store);
  session.console().answer(
      fmt::format("{} {}\n", plural(records.size(), "record"), appends ? "appended" : "loaded"),
      {{"record_count", records.size()}});
  return kExitDone;
}

}  // namespace casdisk
