// NbdImage: an export of an NBD server as the source of an import, what it calls zero skipped.
//
// Reads run ahead: while the importer's threads hash, the next pieces are on their way.
#pragma once

#include <deque>
#include <memory>

#include "index/image.h"
#include "nbd/image/nbd_client.h"

namespace casdisk {

class NbdImage : public ImageSource {
 public:
  explicit NbdImage(std::unique_ptr<NbdClient> client) : client_(std::move(client)) {}
  // The client goes first: it may still be filling pieces.
  ~NbdImage() override { client_.reset(); }

  std::optional<uint64_t> size_bytes() const override { return client_->size_bytes(); }
  Result<bool> next(ImagePiece& piece) override;
  Result<void> fetch(ImagePiece&) override { return {}; }
  Result<uint64_t> finish() override { return client_->size_bytes(); }

 private:
  static constexpr size_t kReadsAhead = 8;  // of kPieceBytes

  struct Reading {
    ImagePiece piece;
    NbdClient::Request request = 0;
  };
  Result<void> read_ahead();

  std::unique_ptr<NbdClient> client_;
  std::deque<Reading> readings_;
  uint64_t position_ = 0;  // where reading ahead goes on
  uint64_t data_end_ = 0;  // the data under the position ends here
};

}  // namespace casdisk
