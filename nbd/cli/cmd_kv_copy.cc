// casdisk kv copy, snapshot
#include <fmt/format.h>

#include <cerrno>

#include "nbd/cli/exit.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"
#include "nbd/cli/kv_commands.h"
#include "nbd/cli/kv_session.h"
#include "nbd/kv/kv_copy.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

std::string copied_text(const KvCopyReport& report) {
  std::string text = fmt::format("{} copied, {}", plural(report.copied_count, "record"),
                                 human_bytes(report.copied_bytes));
  if (report.lengthened_count > 0) {
    text += fmt::format("; {} had less than {} s to live, and were given that",
                        report.lengthened_count, kMinKvTtlMs / 1000);
  }
  if (report.expired_count > 0) {
    text += fmt::format("; {} had expired, and were left out", report.expired_count);
  }
  if (report.shadowed_count > 0) {
    text += fmt::format("; {} that a newer record of their key hides were left out",
                        report.shadowed_count);
  }
  return text + "\n";
}

}  // namespace

Syntax kv_copy_syntax() {
  return {
      .positionals = {{"FROM"}, {"TO"}},
      .options = {{"merge", "",
                   "TO may hold records: others are added, and those under the same keys\n"
                   "replaced"},
                  kKvCapacityOption,
                  kKvTimingOption},
      .about =
          "Copies every record into the store TO, of whatever kind, which must be empty or not\n"
          "exist. Records keep the time that they have left; one that has less than 60 s is given\n"
          "60 s. Versions are TO's own. Several records of a key are copied as they are where TO\n"
          "can have them (hyperv, without --merge), else the one that `get` finds. What TO has no\n"
          "room for is an error that names the key, before anything is copied unless it was\n"
          "written meanwhile. A copy that stops leaves what it has copied; --merge goes on.",
      .exit_codes = "  1 when TO holds records and --merge is not given\n",
      .examples =
          "  casdisk kv copy lmdb:/var/lib/app/kv etcd://10.0.0.7/app\n"
          "  casdisk kv copy redis+unix:///run/redis.sock lmdb:/srv/backup --capacity 8G\n"};
}

Result<int> run_kv_copy(Session& session, const Arguments& arguments) {
  const std::string& from_url = arguments.positional(0);
  const std::string& to_url = arguments.positional(1);
  if (from_url == to_url) {
    return Error{Fault::kInvalid, 0, "kv copy: FROM and TO are the same store"};
  }
  TRY_ASSIGN(const auto from, open_named_kv(session, arguments, from_url, KvUse::kExisting));
  TRY_ASSIGN(const auto to, open_named_kv(session, arguments, to_url, KvUse::kMayMake));
  stop_on_signals();
  KvCopyReport report;
  auto copied = [&] {
    ProgressBar bar("copy", std::nullopt, session.progress());
    KvCopyOptions options;
    options.merge = arguments.has("merge");
    options.stop = stop_requested;
    options.progress = [&](uint64_t bytes) { bar.set(bytes); };
    return copy_kv(*from, *to, options, report);
  }();
  if (!copied.ok()) {
    if (copied.error().os_error == EINTR) session.console().note(copied.error().context);
    return with_capacity_hint(std::move(copied.error()), *to);
  }
  session.console().answer(copied_text(report), {{"from", from->name()},
                                                 {"to", to->name()},
                                                 {"copied_count", report.copied_count},
                                                 {"copied_bytes", report.copied_bytes},
                                                 {"lengthened_count", report.lengthened_count},
                                                 {"expired_count", report.expired_count},
                                                 {"shadowed_count", report.shadowed_count}});
  return kExitDone;
}

Syntax kv_snapshot_syntax() {
  return {
      .positionals = {{"URL"}, {"PATH"}},
      .options = {kKvTimingOption},
      .about =
          "Makes a copy of the store, of one moment, beside those who write: a store of the same\n"
          "kind at PATH, which must not exist. For kinds that can (lmdb, rocksdb); of the others\n"
          "`casdisk kv dump` and `copy` take what is there while they run.",
      .exit_codes = "  1 when PATH exists\n",
      .examples = "  casdisk kv snapshot lmdb:/var/lib/app/kv /srv/backup/kv-monday\n"};
}

Result<int> run_kv_snapshot(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store,
             open_named_kv(session, arguments, arguments.positional(0), KvUse::kExisting));
  const std::string& path = arguments.positional(1);
  TRY(store->snapshot(path));
  session.console().answer(fmt::format("{} is a snapshot of {}\n", path, store->name()),
                           {{"store", store->name()}, {"path", path}});
  return kExitDone;
}

}  // namespace casdisk
