// NbdSink: an export of an NBD server, overwritten. Several writes are in flight at a time.
// Safe from any thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "index/image.h"
#include "nbd/image/nbd_client.h"

namespace casdisk {

class NbdSink : public ImageSink {
 public:
  // kInvalid when the export is read-only or has fewer than `size_bytes`.
  static Result<std::unique_ptr<NbdSink>> open(std::unique_ptr<NbdClient> client,
                                               uint64_t size_bytes);
  // The client goes first: it may still be sending bytes.
  ~NbdSink() override { client_.reset(); }

  bool is_sequential() const override { return false; }
  Result<void> write(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<void> zero(uint64_t offset, uint64_t length) override;
  Result<void> finish() override;

 private:
  static constexpr size_t kMaxInFlight = 8;  // of kPieceBytes

  struct Writing {
    NbdClient::Request request = 0;
    Bytes bytes;
  };

  explicit NbdSink(std::unique_ptr<NbdClient> client) : client_(std::move(client)) {}
  Result<void> start_write(uint64_t offset, Bytes bytes);
  Result<void> wait_until(size_t in_flight_count);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::unique_ptr<NbdClient> client_;
  std::deque<Writing> in_flight_;
};

}  // namespace casdisk
