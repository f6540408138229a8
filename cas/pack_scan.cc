#include "cas/pack_scan.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace casdisk {

namespace {

constexpr uint64_t kWindowBytes = uint64_t(4) << 20;
constexpr std::array<std::byte, 4> kMagic = {std::byte('C'), std::byte('D'), std::byte('R'),
                                             std::byte('C')};

// A part of a file that moves forward. The file may become shorter meanwhile: its writer takes back
// what it has not synced, a collection cuts it off before it removes it.
class Window {
 public:
  Window(const File& file, uint64_t size_bytes) : file_(file), size_bytes_(size_bytes) {}

  // As far as is known after the last from().
  uint64_t size_bytes() const { return size_bytes_; }

  // The bytes from `offset` on: at least a record's, or all there are. An unreadable sector among
  // them cuts them short; empty: it is the first one.
  Result<std::span<const std::byte>> from(uint64_t offset) {
    const uint64_t wanted_end = std::min(size_bytes_, offset + kMaxRecordBytes);
    if (offset < begin_ || wanted_end > begin_ + bytes_.size()) TRY(load(offset));
    return std::span<const std::byte>(bytes_).subspan(offset - begin_);
  }

 private:
  Result<void> load(uint64_t offset) {
    begin_ = offset;
    bytes_.resize(std::min(kWindowBytes, size_bytes_ - std::min(size_bytes_, offset)));
    auto read = file_.read(offset, bytes_);
    if (read.ok()) return read;
    if (read.error().fault == Fault::kDamaged) {
      const uint64_t before = size_bytes_;
      TRY_ASSIGN(size_bytes_, file_.size());
      return size_bytes_ < before ? load(offset) : read;
    }
    if (read.error().os_error != EIO) return read;
    // Sector by sector, to the first that cannot be read.
    uint64_t whole = 0;
    for (; whole < std::min<uint64_t>(bytes_.size(), kMaxRecordBytes); whole += kBlockBytes) {
      const uint64_t length = std::min<uint64_t>(kBlockBytes, bytes_.size() - whole);
      if (!file_.read(offset + whole, std::span(bytes_).subspan(whole, length)).ok()) break;
    }
    bytes_.resize(std::min<uint64_t>(whole, bytes_.size()));
    return {};
  }

  const File& file_;
  uint64_t size_bytes_;
  uint64_t begin_ = 0;
  Bytes bytes_;
};

// How far from the beginning of `bytes` a record may begin next, the first byte aside.
uint64_t to_next_magic(std::span<const std::byte> bytes) {
  if (bytes.empty()) return kBlockBytes;
  const auto found = std::search(bytes.begin() + 1, bytes.end(), kMagic.begin(), kMagic.end());
  if (found != bytes.end()) return uint64_t(found - bytes.begin());
  // The magic may be cut in two by the end.
  return std::max<uint64_t>(1, bytes.size() - std::min(bytes.size(), kMagic.size() - 1));
}

void add_gap(PackScan& scan, uint64_t offset, uint64_t length) {
  if (length == 0) return;
  scan.gap_bytes += length;
  if (scan.gaps.size() < kMaxGaps) scan.gaps.push_back({offset, length});
}

}  // namespace

Result<PackScan> scan_pack(Directory& packs, uint64_t pack,
                           const std::function<Result<void>(const ScannedRecord&)>& visit) {
  TRY_ASSIGN(auto file, packs.open(pack_file_name(pack), OpenMode::kRead));
  TRY_ASSIGN(const uint64_t size_bytes, file->size());
  PackScan scan;
  Window window(*file, size_bytes);
  TRY_ASSIGN(auto begin, window.from(0));
  if (window.size_bytes() == 0 && size_bytes > 0) {
    return Error{Fault::kNotFound, 0, file->path() + " was just cut off"};
  }
  scan.header = decode_pack_header(begin);
  if (scan.header.ok() && scan.header.value().pack != pack) {
    scan.header = Error{Fault::kDamaged, 0, "pack header: names another pack"};
  }
  uint64_t offset = std::min<uint64_t>(size_bytes, kPackHeaderBytes);
  uint64_t records_end = offset;
  while (offset < window.size_bytes()) {
    TRY_ASSIGN(auto bytes, window.from(offset));
    if (offset >= window.size_bytes()) break;
    auto record = decode_record(bytes);
    if (!record.ok()) {
      offset += std::min(window.size_bytes() - offset, to_next_magic(bytes));
      continue;
    }
    const size_t record_bytes = record.value().header.record_bytes();
    add_gap(scan, records_end, offset - records_end);
    TRY(visit({{pack, offset, uint32_t(record_bytes)}, record.value()}));
    scan.record_count++;
    offset += record_bytes;
    records_end = offset;
  }
  scan.scanned_bytes = window.size_bytes();
  scan.tail_bytes = scan.scanned_bytes - std::min(scan.scanned_bytes, records_end);
  return scan;
}

Result<std::vector<uint64_t>> list_packs(Directory& packs) {
  TRY_ASSIGN(auto names, packs.list());
  std::vector<uint64_t> ids;
  for (const std::string& name : names) {
    if (auto pack = pack_from_file_name(name)) ids.push_back(*pack);
  }
  std::ranges::sort(ids);
  return ids;
}

}  // namespace casdisk
