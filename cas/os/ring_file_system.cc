#include "cas/os/ring_file_system.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/os/retry.h"
#include "cas/os/ring.h"

namespace casdisk {

namespace {

RingTransfer transfer_of(const ReadPiece& piece) {
  return RingTransfer{.direction = RingTransfer::Direction::kRead,
                      .descriptor = piece.file->descriptor(),
                      .offset = piece.offset,
                      .bytes = piece.into.data(),
                      .length = piece.into.size()};
}

RingTransfer transfer_of(const WritePiece& piece) {
  return RingTransfer{.direction = RingTransfer::Direction::kWrite,
                      .descriptor = piece.file->descriptor(),
                      .offset = piece.offset,
                      .bytes = const_cast<std::byte*>(piece.from.data()),
                      .length = piece.from.size()};
}

Result<void> outcome_of(const ReadPiece& piece, const RingTransfer& transfer) {
  if (transfer.end_of_file) {
    return shorter_than_expected(piece.file->path(), piece.offset, piece.into.size());
  }
  if (transfer.error == 0) return {};
  return os_error(transfer.error, fmt::format("{}: read at {}", piece.file->path(),
                                              transfer.offset + transfer.done));
}

Result<void> outcome_of(const WritePiece& piece, const RingTransfer& transfer) {
  if (transfer.error == 0) return {};
  return os_error(transfer.error, fmt::format("{}: write at {}", piece.file->path(),
                                              transfer.offset + transfer.done));
}

Result<void> finish_plainly(const ReadPiece& piece, size_t done) {
  return piece.file->read(piece.offset + done, piece.into.subspan(done));
}

Result<void> finish_plainly(const WritePiece& piece, size_t done) {
  return piece.file->write(piece.offset + done, piece.from.subspan(done));
}

// A batch through this thread's ring, or plainly where there is none, the batch is not worth one
// or a file has no descriptor to submit on.
template <typename Piece>
Result<void> run_batch(std::span<const Piece> pieces) {
  Ring* ring = nullptr;
  const bool worth_it = pieces.size() >= 2 && std::ranges::all_of(pieces, [](const Piece& p) {
                          return p.file->descriptor() >= 0;
                        });
  if (worth_it) ring = Ring::of_this_thread();
  if (ring == nullptr) {
    for (const Piece& piece : pieces) TRY(finish_plainly(piece, 0));
    return {};
  }
  std::vector<RingTransfer> transfers;
  transfers.reserve(pieces.size());
  for (const Piece& piece : pieces) transfers.push_back(transfer_of(piece));
  const bool ring_holds = ring->run(transfers);
  for (size_t i = 0; i < pieces.size(); i++) TRY(outcome_of(pieces[i], transfers[i]));
  if (ring_holds) return {};
  for (size_t i = 0; i < pieces.size(); i++) TRY(finish_plainly(pieces[i], transfers[i].done));
  return {};
}

}  // namespace

Result<void> RingFileSystem::read(std::span<const ReadPiece> pieces) { return run_batch(pieces); }

Result<void> RingFileSystem::write(std::span<const WritePiece> pieces) { return run_batch(pieces); }

}  // namespace casdisk
