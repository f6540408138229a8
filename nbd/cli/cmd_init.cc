// casdisk init
#include <fmt/format.h>

#include "nbd/cli/commands.h"

namespace casdisk {

Syntax init_syntax() {
  return {.options = {{"codec", "CODEC", "zstd (default), lz4 or none: how chunks are compressed"}},
          .about = "Makes an empty store in --store, a new or an empty directory.",
          .exit_codes = "  1 when there is a store already\n",
          .examples = "  casdisk init\n  casdisk --store /srv/disks init --codec lz4\n"};
}

Result<int> run_init(Session& session, const Arguments& arguments) {
  std::string codec_text = arguments.text("codec").value_or("zstd");
  auto codec = codec_from_name(codec_text);
  if (!codec) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("--codec {:?}: give zstd, lz4 or none", codec_text)};
  }
  TRY_ASSIGN(std::string path, session.store_path());
  TRY(Store::init(path, *codec));
  session.console().answer(fmt::format("made store {}\n", path),
                           {{"store", path}, {"codec", codec_text}});
  return 0;
}

}  // namespace casdisk
