#include "index/export_image.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "cas/chunk_id.h"
#include "cas/os/parallel.h"

namespace casdisk {
namespace {

// The extents of one window are taken together and worked off on all threads.
constexpr uint64_t kWindowBytes = uint64_t(256) << 20;

// Data in pieces of at most kPieceBytes that end on multiples of it, holes whole.
std::vector<Extent> in_pieces(const std::vector<Extent>& extents) {
  std::vector<Extent> pieces;
  for (Extent rest : extents) {
    while (rest.length > 0) {
      uint64_t to_boundary = kPieceBytes - rest.offset % kPieceBytes;
      uint64_t length = rest.is_hole ? rest.length : std::min(rest.length, to_boundary);
      pieces.push_back({rest.offset, length, rest.is_hole});
      rest.offset += length;
      rest.length -= length;
    }
  }
  return pieces;
}

// Data that turns out to be zeros becomes a hole, chunk by chunk. `buffer` has room for it.
Result<void> copy_data(Volume& volume, ImageSink& sink, const Extent& piece,
                       std::span<std::byte> buffer) {
  const std::span bytes = buffer.first(piece.length);
  TRY(volume.read(piece.offset, bytes));
  auto part_at = [&](uint64_t at) {
    return bytes.subspan(at, std::min<uint64_t>(kChunkBytes, bytes.size() - at));
  };
  uint64_t begin = 0;
  bool zero = is_all_zero(part_at(0));
  for (uint64_t end = 0; begin < bytes.size(); begin = end) {
    bool next_is_zero = zero;
    while (next_is_zero == zero) {
      end += part_at(end).size();
      if (end == bytes.size()) break;
      next_is_zero = is_all_zero(part_at(end));
    }
    if (zero) {
      TRY(sink.zero(piece.offset + begin, end - begin));
    } else {
      TRY(sink.write(piece.offset + begin, bytes.subspan(begin, end - begin)));
    }
    zero = next_is_zero;
  }
  return {};
}

}  // namespace

Result<void> export_image(Volume& volume, ImageSink& sink, unsigned threads,
                          const ImageProgress& progress) {
  if (sink.is_sequential()) threads = 1;
  uint64_t size_bytes = volume.size_bytes();
  for (uint64_t offset = 0; offset < size_bytes; offset += kWindowBytes) {
    std::vector<Extent> extents;
    TRY(volume.extents(offset, std::min(kWindowBytes, size_bytes - offset),
                       [&](const Extent& extent) {
                         extents.push_back(extent);
                         return true;
                       }));
    std::vector<Extent> pieces = in_pieces(extents);
    TRY(parallel_for(pieces.size(), threads, [&](size_t i) -> Result<void> {
      thread_local const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
      if (!progress(pieces[i].offset)) return Error{Fault::kIo, EINTR, "stopped"};
      if (pieces[i].is_hole) return sink.zero(pieces[i].offset, pieces[i].length);
      return copy_data(volume, sink, pieces[i], {buffer.get(), kPieceBytes});
    }));
  }
  return sink.finish();
}

}  // namespace casdisk
