// Names of disks, checkpoints, objects and packs: what is accepted is written the same again, and
// no name is a path or has anything that a terminal or a URI would take for something else.
#include "index/names.h"

#include "cas/chunk_id.h"
#include "cas/pack_format.h"
#include "nbd/serve/nbd_uri.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

void check_plain(const std::string& name) {
  CHECK(!name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' && name[0] != '-');
  for (char c : name) CHECK(c > ' ' && c < 127 && c != '/' && c != '@' && c != '\\' && c != '"');
}

void run(std::string_view text) {
  auto name = parse_volume_name(text);
  if (name.ok()) {
    CHECK(name.value().text() == text);
    check_plain(name.value().disk);
    if (name.value().is_checkpoint()) check_plain(name.value().checkpoint);
  } else {
    CHECK(name.error().fault == Fault::kInvalid && !name.error().context.empty());
  }
  CHECK(check_name(text, "disk").ok() == (name.ok() && !name.value().is_checkpoint()));

  auto id = chunk_id_from_hex(text);
  CHECK(!id || to_hex(*id) == text);
  auto pack = pack_from_file_name(text);
  CHECK(!pack || pack_file_name(*pack) == text);

  const std::string encoded = percent_encoded(text);
  for (char c : encoded) CHECK(c > ' ' && c < 127 && c != '?' && c != '#' && c != '&');
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size).rest_text());
  return 0;
}
