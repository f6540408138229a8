#include "nbd/image/nbd_sink.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {

Result<std::unique_ptr<NbdSink>> NbdSink::open(std::unique_ptr<NbdClient> client,
                                               uint64_t size_bytes) {
  if (client->is_read_only()) {
    return Error{Fault::kInvalid, 0, client->name() + " is served read-only"};
  }
  if (client->size_bytes() < size_bytes) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("{} has {} bytes, too few for the {} of the disk", client->name(),
                             client->size_bytes(), size_bytes)};
  }
  return std::unique_ptr<NbdSink>(new NbdSink(std::move(client)));
}

Result<void> NbdSink::wait_until(size_t in_flight_count) {
  while (in_flight_.size() > in_flight_count) {
    NbdClient::Request request = in_flight_.front().request;
    TRY(client_->wait(request));
    in_flight_.pop_front();
  }
  return {};
}

Result<void> NbdSink::start_write(uint64_t offset, Bytes bytes) {
  TRY(wait_until(kMaxInFlight - 1));
  TRY_ASSIGN(NbdClient::Request request, client_->start_write(offset, bytes));
  in_flight_.push_back({request, std::move(bytes)});  // moving keeps the bytes where they are
  return {};
}

Result<void> NbdSink::write(uint64_t offset, std::span<const std::byte> bytes) {
  Bytes copy(bytes.begin(), bytes.end());
  std::lock_guard lock(mutex_);
  return start_write(offset, std::move(copy));
}

Result<void> NbdSink::zero(uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  while (length > 0) {
    uint64_t most = client_->can_zero() ? NbdClient::kMaxZeroBytes : uint64_t(kPieceBytes);
    uint64_t count = std::min(most, length);
    if (client_->can_zero()) {
      TRY(wait_until(kMaxInFlight - 1));
      TRY_ASSIGN(NbdClient::Request request, client_->start_zero(offset, count));
      in_flight_.push_back({request, {}});
    } else {
      TRY(start_write(offset, Bytes(count)));
    }
    offset += count;
    length -= count;
  }
  return {};
}

Result<void> NbdSink::finish() {
  std::lock_guard lock(mutex_);
  TRY(wait_until(0));
  return client_->flush();
}

}  // namespace casdisk
