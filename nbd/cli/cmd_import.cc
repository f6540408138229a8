// casdisk import
#include <fmt/format.h>

#include "index/checkpoint_view.h"
#include "index/import_image.h"
#include "nbd/auth/hidden_tokens.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"
#include "nbd/image/image_format.h"
#include "nbd/image/image_source.h"

namespace casdisk {
namespace {

Result<uint64_t> data_bytes_of(Store& store, const VolumeName& name) {
  TRY_ASSIGN(auto view, CheckpointView::open(store, name));
  uint64_t data_bytes = 0;
  TRY(view->extents(0, view->size_bytes(), [&](const Extent& extent) {
    if (!extent.is_hole) data_bytes += extent.length;
    return true;
  }));
  return data_bytes;
}

}  // namespace

Syntax import_syntax() {
  return {
      .positionals = {{"SRC"}, {"NAME"}},
      .options = {{"format", "FORMAT",
                   known_formats() + "\n(default: what the file's first bytes "
                                     "say; block devices are raw)"},
                  kThreadsOption},
      .about =
          "Makes disk NAME, with the checkpoint NAME@import, from SRC: an image file, a block\n"
          "device, - for a raw image on stdin, or an NBD URI. Holes are skipped, what the store\n"
          "has already is not stored again. Interrupted, it leaves nothing; the next attempt\n"
          "finds the chunks that were stored. Formats other than raw are read by qemu-nbd,\n"
          "which opens the backing files that the image names: know where an image is from.",
      .examples =
          "  casdisk import debian-12.qcow2 debian\n"
          "  zstd -dc disk.raw.zst | casdisk import - disk\n"
          "  casdisk import nbd://host/export copy\n"};
}

Result<int> run_import(Session& session, const Arguments& arguments) {
  const std::string& source = arguments.positional(0);
  const std::string from = source == "-" ? "stdin" : with_tokens_hidden(source);
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(1)));
  TRY_ASSIGN(unsigned threads, threads_of(arguments));
  TRY_ASSIGN(Store * store, session.store());
  stop_on_signals();
  TRY_ASSIGN(OpenedSource opened, open_image_source(store->file_system(), source,
                                                    arguments.text("format"), stop_requested));
  auto size_bytes = opened.source->size_bytes();
  if (size_bytes == 0) return Error{Fault::kInvalid, 0, from + " is empty; there is no disk in it"};
  if (opened.was_detected) {
    session.console().note(fmt::format("{} is a {} image by its first bytes", from, opened.format));
  }

  double seconds = 0;
  {
    ProgressBar bar("import " + name, size_bytes, session.progress());
    auto imported = import_image(*store, *opened.source, name, threads, [&](uint64_t position) {
      bar.set(position);
      return !stop_requested();
    });
    if (!imported.ok() && imported.error().fault == Fault::kInvalid) {
      imported.error().context = from + ": " + imported.error().context;
    }
    TRY(std::move(imported));
    seconds = bar.elapsed_seconds();
  }

  VolumeName checkpoint{name, kImportCheckpoint};
  LocalStoreCounters counters = store->local_chunks().counters();
  TRY_ASSIGN(uint64_t data_bytes, data_bytes_of(*store, checkpoint));
  TRY_ASSIGN(FoundCheckpoint made, find_checkpoint(*store, checkpoint));
  session.console().answer(
      fmt::format("imported {} as {}, checkpoint {}\n"
                  "size {}, data {}, new in the store {}, {} ({}/s of data)\n",
                  from, name, checkpoint.text(), human_bytes(made.record.size_bytes),
                  human_bytes(data_bytes), human_bytes(counters.new_stored_bytes),
                  human_duration(seconds),
                  human_bytes(uint64_t(double(data_bytes) / std::max(seconds, 0.001)))),
      {{"disk", name},
       {"format", opened.format},
       {"checkpoint", checkpoint_json(made.id, made.record)},
       {"size_bytes", made.record.size_bytes},
       {"data_bytes", data_bytes},
       {"new_stored_bytes", counters.new_stored_bytes},
       {"new_object_count", counters.new_object_count},
       {"seconds", seconds}});
  return 0;
}

}  // namespace casdisk
