// casdisk verify
#include <fmt/format.h>

#include <charconv>

#include "nbd/cli/commands.h"
#include "nbd/cli/damage_text.h"
#include "nbd/cli/exit.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"

namespace casdisk {
namespace {

Result<double> sample_of(const Arguments& arguments) {
  const auto text = arguments.text("sample");
  if (!text) return 100.0;
  std::string_view digits = *text;
  if (digits.ends_with('%')) digits.remove_suffix(1);
  double percent = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), percent);
  const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
  if (is_whole && percent > 0 && percent <= 100) return percent;
  return Error{Fault::kInvalid, 0,
               fmt::format("--sample {:?}: give a percentage, such as 5 or 0.5", *text)};
}

std::string checked_text(const VerifyReport& report, const std::string& what,
                         const VerifyOptions& options, double seconds) {
  std::string text = fmt::format("{}: {} disks, checkpoints and tables, {} pages, ", what,
                                 report.volume_count, report.page_count);
  if (report.is_sample) {
    text += fmt::format("a sample of {} of {} chunks ({} %)", report.chunk_count,
                        report.chunk_total, options.sample_percent);
  } else {
    text += fmt::format("{} chunks", report.chunk_count);
  }
  return text +
         fmt::format(", {} in {}\n", human_bytes(report.checked_bytes), human_duration(seconds));
}

}  // namespace

Syntax verify_syntax() {
  return {
      .positionals = {{"X", false}},
      .options = {{"sample", "PCT", "of the chunks read a random share; of pages all"},
                  kThreadsOption},
      .about =
          "Reads all that the store, a disk with its checkpoints or a disk@checkpoint consists "
          "of,\n"
          "and names what is damaged or missing, and whose bytes it was. Without X, also what\n"
          "nothing needs. The store may be in use. What is found damaged is not trusted any\n"
          "more when the same bytes are stored again; `casdisk repair` mends what can be mended.",
      .exit_codes = "  3 when there is damage\n",
      .examples = "  casdisk verify\n  casdisk verify web@monday\n  casdisk verify --sample 5\n"};
}

Result<int> run_verify(Session& session, const Arguments& arguments) {
  VolumeName name;
  if (arguments.positional_count() > 0) {
    TRY_ASSIGN(name, parse_volume_name(arguments.positional(0)));
  }
  VerifyOptions options;
  TRY_ASSIGN(options.threads, threads_of(arguments));
  TRY_ASSIGN(options.sample_percent, sample_of(arguments));
  TRY_ASSIGN(Store * store, session.store());
  options.sample_seed = store->random();
  stop_on_signals();

  const std::string what = name.disk.empty() ? store->path() : name.text();
  VerifyReport report;
  double seconds = 0;
  {
    ProgressBar bar("verify " + what, std::nullopt, session.progress());
    options.progress = [&](uint64_t done_bytes, uint64_t) {
      bar.set(done_bytes);
      return !stop_requested();
    };
    auto verified =
        name.disk.empty() ? verify_store(*store, options) : verify_volume(*store, name, options);
    TRY_ASSIGN(report, std::move(verified));
    seconds = bar.elapsed_seconds();
  }
  for (const std::string& note : report.notes) session.console().note(note);
  if (report.unnamed_count > 0) {
    session.console().note(
        fmt::format("{} places in packs are damaged that nothing needs; --json lists them",
                    report.unnamed_count));
  }

  const bool is_clean = report.is_clean();
  Json json = {{"object", what},
               {"clean", is_clean},
               {"volume_count", report.volume_count},
               {"page_count", report.page_count},
               {"chunk_count", report.chunk_count},
               {"record_count", report.record_count},
               {"sample_percent", options.sample_percent},
               {"sample_of_chunk_count", report.is_sample ? Json(report.chunk_total) : Json()},
               {"checked_bytes", report.checked_bytes},
               {"seconds", seconds}};
  add_damage_json(json, report);
  const std::string verdict =
      is_clean ? "no damage\n" : "there is damage; see `casdisk repair --help`\n";
  session.console().answer(
      damage_text(report) + checked_text(report, what, options, seconds) + verdict, json);
  return is_clean ? kExitDone : kExitFailed;
}

}  // namespace casdisk
