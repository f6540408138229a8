// casdisk export
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "index/attachment.h"
#include "index/export_image.h"
#include "nbd/auth/hidden_tokens.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"
#include "nbd/image/image_sink.h"

namespace casdisk {
namespace {

// Also under another name. Inodes are used again: that of a fallback which was removed may well be
// that of the file which an export just made.
bool is_fallback(const FallbackRecord& fallback, const std::string& path,
                 const struct stat& status) {
  const FileIdentity& file = fallback.identity;
  if (file.device != status.st_dev || file.inode != status.st_ino) return false;
  int64_t mtime_ns = status.st_mtim.tv_sec * int64_t(1'000'000'000) + status.st_mtim.tv_nsec;
  if (file.size_bytes == uint64_t(status.st_size) && file.mtime_ns == mtime_ns) return true;
  std::error_code failure;
  return std::filesystem::canonical(path, failure) == fallback.path;
}

// Replaced by an image, a fallback would be another file: what is not ingested of it would be gone.
Result<void> check_no_disk_reads(Store& store, const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return {};
  TRY_ASSIGN(auto disks, summarize_disks(store));
  for (const DiskSummary& disk : disks) {
    if (!disk.fallback) continue;
    if (!is_fallback(*disk.fallback, path, status)) continue;
    return Error{
        Fault::kInvalid, 0,
        fmt::format("{} is the fallback of disk {}, which reads it; export to another file", path,
                    disk.name)};
  }
  return {};
}

Result<std::shared_ptr<Volume>> volume_of(Session& session, const VolumeName& name,
                                          const std::optional<std::string>& attachment) {
  if (!attachment) return session.open_volume(name);
  if (!name.is_checkpoint()) {
    return Error{Fault::kInvalid, 0, "--attachment: name a checkpoint, DISK@CHECKPOINT"};
  }
  TRY_ASSIGN(Store * store, session.store());
  return open_attachment(*store, name, *attachment);
}

}  // namespace

Syntax export_syntax() {
  return {
      .positionals = {{"X"}, {"DEST"}},
      .options = {{"force", "", "replace the file DEST"},
                  {"attachment", "NAME", "not the disk: a file that is kept with a checkpoint X"},
                  kThreadsOption},
      .about =
          "Writes X, a disk or disk@checkpoint, as a raw image to DEST: a file (with holes, under\n"
          "its name only when it is whole), an existing block device (in place), - for stdout, or\n"
          "an NBD URI. A device or NBD export may be larger than X; its rest is left alone. A "
          "disk\n"
          "that is served is taken as it is at one moment of the export.",
      .exit_codes = "  1 when DEST exists and --force is not given\n",
      .examples =
          "  casdisk export web web.raw\n"
          "  casdisk export web@monday - | zstd > monday.raw.zst\n"
          "  casdisk export web nbd://host/export\n"
          "  casdisk export web@friday vm.mem --attachment vmstate\n"};
}

Result<int> run_export(Session& session, const Arguments& arguments) {
  const std::string& to = arguments.positional(1);
  TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
  TRY_ASSIGN(unsigned threads, threads_of(arguments));
  if (to == "-" && session.options().json) {
    return Error{Fault::kInvalid, 0, "--json and the image cannot both go to stdout; name a file"};
  }
  TRY_ASSIGN(Store * store, session.store());
  TRY(check_no_disk_reads(*store, to));
  stop_on_signals();
  TRY_ASSIGN(auto volume, volume_of(session, name, arguments.text("attachment")));
  uint64_t size_bytes = volume->size_bytes();
  IfExists if_exists = arguments.has("force") ? IfExists::kReplace : IfExists::kFail;
  TRY_ASSIGN(auto sink,
             open_image_sink(store->file_system(), to, size_bytes, if_exists, stop_requested));
  double seconds = 0;
  {
    ProgressBar bar("export " + name.text(), size_bytes, session.progress());
    TRY(export_image(*volume, *sink, threads, [&](uint64_t position_bytes) {
      bar.set(position_bytes);
      return !stop_requested();
    }));
    seconds = bar.elapsed_seconds();
  }
  if (to == "-") return 0;
  const std::string shown_to = with_tokens_hidden(to);
  session.console().answer(fmt::format("exported {} to {}: {}, {}\n", name.text(), shown_to,
                                       human_bytes(size_bytes), human_duration(seconds)),
                           {{"source", name.text()},
                            {"destination", shown_to},
                            {"size_bytes", size_bytes},
                            {"seconds", seconds}});
  return 0;
}

}  // namespace casdisk
