#include "cas/os/ring.h"

#include <fmt/format.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace casdisk {

namespace {

// What one submission may carry: the kernel cuts transfers at 2 GiB less a page.
constexpr size_t kMaxTransferBytes = size_t(1) << 30;

void prepare(io_uring_sqe* entry, RingTransfer* transfer) {
  const auto count = unsigned(std::min(transfer->length - transfer->done, kMaxTransferBytes));
  std::byte* bytes = transfer->bytes + transfer->done;
  const uint64_t offset = transfer->offset + transfer->done;
  if (transfer->direction == RingTransfer::Direction::kRead) {
    io_uring_prep_read(entry, transfer->descriptor, bytes, count, offset);
  } else {
    io_uring_prep_write(entry, transfer->descriptor, bytes, count, offset);
  }
  io_uring_sqe_set_data(entry, transfer);
}

void complete(RingTransfer* transfer, int outcome) {
  if (outcome > 0) {
    transfer->done += size_t(outcome);
  } else if (outcome == 0 && transfer->direction == RingTransfer::Direction::kRead) {
    transfer->end_of_file = true;
  } else if (outcome == 0) {
    transfer->error = EIO;
  } else if (outcome != -EINTR && outcome != -EAGAIN) {
    transfer->error = -outcome;
  }
}

}  // namespace

struct Ring::State {
  io_uring ring{};
  pid_t owner = 0;
  bool broken = false;
};

Ring::Ring(std::unique_ptr<State> state) : state_(std::move(state)) {}

Ring::~Ring() { io_uring_queue_exit(&state_->ring); }

Result<std::unique_ptr<Ring>> Ring::make() {
  auto state = std::make_unique<State>();
  state->owner = ::getpid();
  if (int outcome = io_uring_queue_init(kRingEntries, &state->ring, 0); outcome < 0) {
    return os_error(-outcome, "io_uring_setup");
  }
  return std::unique_ptr<Ring>(new Ring(std::move(state)));
}

Result<void> Ring::probe() {
  auto made = make();
  if (!made.ok()) return Error{Fault::kUnsupported, made.error().os_error, made.error().context};
  io_uring_probe* probed = io_uring_get_probe_ring(&made.value()->state_->ring);
  const bool capable = probed != nullptr && io_uring_opcode_supported(probed, IORING_OP_READ) &&
                       io_uring_opcode_supported(probed, IORING_OP_WRITE);
  if (probed != nullptr) io_uring_free_probe(probed);
  if (capable) return {};
  return Error{Fault::kUnsupported, 0, "this kernel's io_uring lacks plain reads and writes"};
}

// A ring that was made before a fork belongs to the parent; the child makes its own.
Ring* Ring::of_this_thread() {
  thread_local std::unique_ptr<Ring> ring;
  thread_local pid_t refused = 0;  // the process in which making one failed
  const pid_t self = ::getpid();
  if (ring != nullptr && (ring->state_->broken || ring->state_->owner != self)) {
    if (ring->state_->broken) refused = self;
    ring.reset();
  }
  if (ring == nullptr && refused != self) {
    auto made = make();
    if (made.ok()) {
      ring = std::move(made).value();
    } else {
      refused = self;
    }
  }
  return ring.get();
}

bool Ring::run(std::span<RingTransfer> transfers) {
  std::array<RingTransfer*, kRingEntries> round;
  size_t first = 0;  // all before it are at rest
  for (;;) {
    while (first < transfers.size() && transfers[first].at_rest()) first++;
    size_t count = 0;
    for (size_t i = first; i < transfers.size() && count < round.size(); i++) {
      if (!transfers[i].at_rest()) round[count++] = &transfers[i];
    }
    if (count == 0) return true;
    const auto running = std::span(round).first(count);
    if (!run_round(running)) return false;
    if (std::ranges::any_of(running, [](auto* transfer) { return transfer->failed(); })) {
      return true;
    }
  }
}

// Submits all of `round`, then waits for all that the kernel took. When it took fewer, the rest
// still lies in the submission queue with its buffers: such a ring must not be used again.
bool Ring::run_round(std::span<RingTransfer*> round) {
  io_uring* ring = &state_->ring;
  for (RingTransfer* transfer : round) {
    io_uring_sqe* entry = io_uring_get_sqe(ring);
    CHECK(entry != nullptr);  // a round is no larger than the queue, which is empty between rounds
    prepare(entry, transfer);
  }
  unsigned submitted = 0;
  while (submitted < round.size()) {
    int outcome = io_uring_submit_and_wait(ring, unsigned(round.size()) - submitted);
    if (outcome == -EINTR) continue;
    if (outcome <= 0) break;
    submitted += unsigned(outcome);
  }
  state_->broken = submitted < round.size();
  for (unsigned reaped = 0; reaped < submitted;) {
    io_uring_cqe* completion = nullptr;
    int outcome = io_uring_wait_cqe(ring, &completion);
    if (outcome == -EINTR || outcome == -EAGAIN) continue;
    CHECK(outcome == 0);  // else buffers in flight could never be given back
    complete(static_cast<RingTransfer*>(io_uring_cqe_get_data(completion)), completion->res);
    io_uring_cqe_seen(ring, completion);
    reaped++;
  }
  return !state_->broken;
}

}  // namespace casdisk
