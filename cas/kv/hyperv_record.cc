#include "cas/kv/hyperv_record.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cas/os/result.h"

namespace casdisk {
namespace {

std::string_view text_in(std::span<const std::byte> field) {
  const std::string_view all(reinterpret_cast<const char*>(field.data()), field.size());
  return all.substr(0, std::min(all.find('\0'), all.size()));
}

void fill_field(std::string_view text, std::span<std::byte> field) {
  CHECK(text.size() <= field.size() && text.find('\0') == text.npos);
  const auto end = std::ranges::copy(std::as_bytes(std::span(text)), field.begin()).out;
  std::fill(end, field.end(), std::byte(0));
}

}  // namespace

HypervRecord decode_hyperv_record(std::span<const std::byte> bytes) {
  CHECK(bytes.size() == kHypervRecordBytes);
  return {text_in(bytes.first(kHypervKeyBytes)), text_in(bytes.subspan(kHypervKeyBytes))};
}

void encode_hyperv_record(const HypervRecord& record, std::span<std::byte> to) {
  CHECK(to.size() == kHypervRecordBytes);
  fill_field(record.key, to.first(kHypervKeyBytes));
  fill_field(record.value, to.subspan(kHypervKeyBytes));
}

}  // namespace casdisk
