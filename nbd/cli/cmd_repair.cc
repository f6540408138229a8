// casdisk repair
#include <fmt/format.h>

#include "cas/os/posix_file_system.h"
#include "index/rebuild.h"
#include "index/repair.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/damage_text.h"
#include "nbd/cli/exit.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"
#include "nbd/image/image_source.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

std::string sources_text(const RepairReport& report) {
  std::string text;
  const auto add = [&](uint64_t count, const char* what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(report.from_catalog, "from the catalog");
  add(report.from_packs, "from other copies in packs");
  add(report.from_fallbacks, "from fallback files");
  add(report.from_image, "from the image");
  return text.empty() ? "none" : text;
}

std::string report_text(const RepairReport& report, const RepairOptions& options) {
  std::string text =
      fmt::format("damaged objects: {}; {}: {}\n", report.damaged_count,
                  options.dry_run ? "could be mended" : "mended", sources_text(report));
  if (report.dropped_count > 0) {
    text += fmt::format("{} that nothing needs were dropped\n", report.dropped_count);
  }
  if (options.dry_run) return text;
  text += damage_text(report.left);
  return text + (report.left.is_clean()
                     ? "nothing is lost\n"
                     : "what is said above cannot be read; try --from IMAGE, import the same data "
                       "again, or roll back\n");
}

Json report_json(const RepairReport& report, const RepairOptions& options) {
  Json json = {{"dry_run", options.dry_run},
               {"clean", report.left.is_clean()},
               {"mended_count", report.mended_count()},
               {"from_catalog", report.from_catalog},
               {"from_packs", report.from_packs},
               {"from_fallbacks", report.from_fallbacks},
               {"from_image", report.from_image},
               {"dropped_count", report.dropped_count}};
  add_damage_json(json, report.left);
  return json;
}

std::string rebuild_text(const RebuildReport& report, const std::string& path, bool dry_run) {
  if (!report.locations_lost && !report.catalog_lost) {
    return path + ": the catalog and the location table can be read; nothing to rebuild\n";
  }
  std::string text;
  const auto tell = [&](bool is_lost, const char* what, const std::string& made) {
    if (!is_lost) return;
    text += fmt::format("{} {}{}\n", what, "is lost or cannot be read",
                        dry_run ? "" : "; made anew: " + made);
  };
  tell(report.locations_lost, "the location table",
       fmt::format("{} in {}, {} damaged", plural(report.object_count, "object"),
                   plural(report.pack_count, "pack"), report.damaged_count));
  tell(report.catalog_lost, "the catalog",
       fmt::format("{}, {}", plural(report.disk_count, "disk"),
                   plural(report.checkpoint_count, "checkpoint")));
  for (const std::string& line : report.said) text += line + "\n";
  for (const std::string& kept : report.kept_aside) text += "kept: " + kept + "\n";
  return text + (dry_run ? "" : "`casdisk verify` says what can be read\n");
}

Result<int> run_rebuild(Session& session, const Arguments& arguments) {
  if (arguments.positional_count() > 0 || arguments.has("from") || arguments.has("fallback")) {
    return Error{Fault::kInvalid, 0,
                 "--rebuild is of the whole store, and goes with --dry-run alone"};
  }
  RebuildOptions options;
  TRY_ASSIGN(options.threads, threads_of(arguments));
  options.dry_run = arguments.has("dry-run");
  TRY_ASSIGN(const std::string path, session.store_path());
  PosixFileSystem file_system;
  stop_on_signals();
  options.progress = [](uint64_t) { return !stop_requested(); };
  TRY_ASSIGN(const RebuildReport report, rebuild_store(file_system, path, options));
  session.console().answer(rebuild_text(report, path, options.dry_run),
                           {{"dry_run", options.dry_run},
                            {"locations_lost", report.locations_lost},
                            {"catalog_lost", report.catalog_lost},
                            {"object_count", report.object_count},
                            {"damaged_count", report.damaged_count},
                            {"disk_count", report.disk_count},
                            {"checkpoint_count", report.checkpoint_count},
                            {"said", report.said},
                            {"kept_aside", report.kept_aside}});
  const bool is_left = options.dry_run && (report.locations_lost || report.catalog_lost);
  return is_left ? kExitFailed : kExitDone;
}

Result<int> run_take_fallbacks(Session& session, const std::vector<std::string>& files) {
  TRY_ASSIGN(Store * store, session.store());
  std::string text;
  Json taken = Json::array();
  for (const std::string& file : files) {
    TRY_ASSIGN(const auto users, take_fallback_again(*store, file));
    text +=
        fmt::format("{} is the fallback of {} disks and checkpoints again\n", file, users.size());
    taken.push_back({{"path", file}, {"users", users}});
  }
  session.console().answer(text, {{"fallbacks", taken}});
  return kExitDone;
}

}  // namespace

Syntax repair_syntax() {
  return {
      .positionals = {{"X", false}},
      .options = {{"dry-run", "", "look for copies, and store none"},
                  {"from", "IMAGE", "an image, a device or an NBD URI that may have what is lost"},
                  {"rebuild", "",
                   "make the catalog and the location table anew where they are lost"},
                  {"fallback", "FILE", "take a fallback again that the catalog has lost", true},
                  kThreadsOption},
      .about =
          "Verifies the store, a disk or a disk@checkpoint, and brings back what is damaged from\n"
          "wherever the same bytes still are: other copies in packs, fallback files, the catalog,\n"
          "an image that the disk was once made of. What cannot be brought back is named, noted\n"
          "in the store's file losses, and stays an error to whoever reads it: never zeros. The\n"
          "store may be in use.\n\n"
          "--rebuild is for a store whose LMDB files are lost or cannot be read, and that nobody\n"
          "has open: packs tell where chunks are, and which checkpoints there were; notes beside\n"
          "them whose the writes are that were not sealed. The old files are kept.",
      .exit_codes = "  3 when something is lost, or with --dry-run damaged\n",
      .examples = "  casdisk repair --dry-run\n  casdisk repair web --from web.qcow2\n"};
}

Result<int> run_repair(Session& session, const Arguments& arguments) {
  if (arguments.has("rebuild")) return run_rebuild(session, arguments);
  if (arguments.has("fallback")) return run_take_fallbacks(session, arguments.texts("fallback"));
  std::optional<VolumeName> name;
  if (arguments.positional_count() > 0) {
    TRY_ASSIGN(name, parse_volume_name(arguments.positional(0)));
  }
  RepairOptions options;
  TRY_ASSIGN(options.threads, threads_of(arguments));
  options.dry_run = arguments.has("dry-run");
  TRY_ASSIGN(Store * store, session.store());
  stop_on_signals();
  if (const auto image = arguments.text("from")) {
    if (*image == "-") {
      return Error{Fault::kInvalid, 0, "--from -: the image is read more than once, give a file"};
    }
    options.open_image = [store, image]() -> Result<std::unique_ptr<ImageSource>> {
      TRY_ASSIGN(OpenedSource opened,
                 open_image_source(store->file_system(), *image, std::nullopt, stop_requested));
      return std::move(opened.source);
    };
    TRY(options.open_image());  // what is wrong with it is said before hours of work
  }
  RepairReport report;
  {
    ProgressBar bar("repair " + (name ? name->text() : store->path()), std::nullopt,
                    session.progress());
    options.progress = [&](const char*, uint64_t done_bytes) {
      bar.set(done_bytes);
      return !stop_requested();
    };
    TRY_ASSIGN(report, repair(*store, name, options));
  }
  for (const std::string& note : report.left.notes) session.console().note(note);
  session.console().answer(report_text(report, options), report_json(report, options));
  return report.left.is_clean() ? kExitDone : kExitFailed;
}

}  // namespace casdisk
