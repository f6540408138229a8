#include "nbd/image/nbd_client.h"

#include <fmt/format.h>
#include <libnbd.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>

namespace casdisk {
namespace {

constexpr int kPollMs = 200;
// Bounds the answer as well as the time between two looks at `stop`.
constexpr uint64_t kExtentsWindowBytes = uint64_t(1) << 30;

// libnbd's messages begin with the function that failed, "nbd_aio_connect_uri: ", which says
// nothing to whoever runs a command.
std::string without_function(std::string_view message) {
  size_t colon = message.find(": ");
  if (message.starts_with("nbd_") && colon != message.npos) message.remove_prefix(colon + 2);
  return std::string(message);
}

}  // namespace

NbdClient::NbdClient(nbd_handle* handle, std::string name, Stop stop)
    : handle_(handle), name_(std::move(name)), stop_(std::move(stop)) {}

NbdClient::~NbdClient() {
  // A leave that a server would take its time to answer is not taken.
  bool idle = nbd_aio_is_ready(handle_) == 1 && nbd_aio_in_flight(handle_) == 0;
  if (idle && !stop_()) nbd_shutdown(handle_, 0);
  nbd_kill_subprocess(handle_, SIGTERM);  // closing waits for it
  nbd_close(handle_);
}

Error NbdClient::failed(const std::string& what) const {
  int number = nbd_get_errno();
  const char* text = nbd_get_error();
  if (stop_()) return Error{Fault::kIo, EINTR, "stopped"};
  std::string message = text == nullptr ? "unknown error" : without_function(text);
  if (message.starts_with("mkdtemp")) {
    message += "; libnbd makes its socket in /tmp: make room there";
  } else if (nbd_aio_is_dead(handle_) == 1 || nbd_aio_is_closed(handle_) == 1) {
    message = "the server ended the connection (" + message + ")";
  }
  Error error = os_error(number, fmt::format("{}: {}: {}", name_, what, message));
  error.os_error = 0;  // the message has it
  if (error.fault != Fault::kNoSpace) error.fault = Fault::kIo;
  return error;
}

Result<std::unique_ptr<NbdClient>> NbdClient::make(const std::string& name, Stop stop) {
  nbd_handle* handle = nbd_create();
  if (handle == nullptr) return Error{Fault::kIo, ENOMEM, name};
  std::unique_ptr<NbdClient> client(new NbdClient(handle, name, std::move(stop)));
  nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION);
  return client;
}

Result<std::unique_ptr<NbdClient>> NbdClient::connect_uri(const std::string& uri, Stop stop) {
  TRY_ASSIGN(auto client, make(uri, std::move(stop)));
  nbd_set_uri_allow_local_file(client->handle_, true);  // nbds: tls-psk-file=...
  if (nbd_aio_connect_uri(client->handle_, uri.c_str()) != 0) return client->failed("connect");
  TRY(client->wait_for_connection());
  TRY(client->connected());
  return client;
}

Result<std::unique_ptr<NbdClient>> NbdClient::connect_command(std::vector<std::string> command,
                                                              const std::string& name, Stop stop) {
  TRY_ASSIGN(auto client, make(name, std::move(stop)));
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  if (nbd_aio_connect_systemd_socket_activation(client->handle_, words.data()) != 0) {
    return client->failed(command[0]);
  }
  TRY(client->wait_for_connection());
  TRY(client->connected());
  return client;
}

Result<void> NbdClient::wait_for_connection() {
  while (nbd_aio_is_ready(handle_) != 1) {
    if (nbd_aio_is_dead(handle_) == 1 || nbd_aio_is_closed(handle_) == 1) return failed("connect");
    TRY(poll_once());
  }
  return {};
}

Result<void> NbdClient::poll_once() {
  if (stop_()) return Error{Fault::kIo, EINTR, "stopped"};
  if (nbd_poll(handle_, kPollMs) >= 0 || nbd_get_errno() == EINTR) return {};
  return failed("connection");
}

Result<void> NbdClient::connected() {
  int64_t size = nbd_get_size(handle_);
  if (size < 0) return failed("size");
  size_bytes_ = uint64_t(size);
  is_read_only_ = nbd_is_read_only(handle_) == 1;
  can_zero_ = nbd_can_zero(handle_) == 1;
  tells_extents_ = nbd_can_meta_context(handle_, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
  return {};
}

Result<NbdClient::Request> NbdClient::start_read(uint64_t offset, std::span<std::byte> into) {
  int64_t request =
      nbd_aio_pread(handle_, into.data(), into.size(), offset, NBD_NULL_COMPLETION, 0);
  if (request < 0) return failed(fmt::format("read at {}", offset));
  return Request(request);
}

Result<NbdClient::Request> NbdClient::start_write(uint64_t offset,
                                                  std::span<const std::byte> from) {
  int64_t request =
      nbd_aio_pwrite(handle_, from.data(), from.size(), offset, NBD_NULL_COMPLETION, 0);
  if (request < 0) return failed(fmt::format("write at {}", offset));
  return Request(request);
}

Result<NbdClient::Request> NbdClient::start_zero(uint64_t offset, uint64_t length) {
  int64_t request = nbd_aio_zero(handle_, length, offset, NBD_NULL_COMPLETION, 0);
  if (request < 0) return failed(fmt::format("zero at {}", offset));
  return Request(request);
}

Result<void> NbdClient::wait(Request request) {
  // libnbd forgets a request that failed: waiting for it again would be for ever.
  if (failure_) return *failure_;
  auto outcome = wait_once(request);
  if (!outcome.ok()) failure_ = outcome.error();
  return outcome;
}

Result<void> NbdClient::wait_once(Request request) {
  for (;;) {
    int completed = nbd_aio_command_completed(handle_, request);
    if (completed == 1) return {};
    if (completed < 0) return failed("request");
    TRY(poll_once());
  }
}

Result<void> NbdClient::flush() {
  if (nbd_can_flush(handle_) != 1) return {};
  int64_t request = nbd_aio_flush(handle_, NBD_NULL_COMPLETION, 0);
  if (request < 0) return failed("flush");
  return wait(Request(request));
}

// Fills known_ with what the server says from `offset` on; never nothing.
Result<void> NbdClient::ask_extents(uint64_t offset) {
  known_.clear();
  uint64_t count = std::min(kExtentsWindowBytes, size_bytes_ - offset);
  nbd_extent_callback callback = {};
  callback.user_data = &known_;
  callback.callback = [](void* user_data, const char* context, uint64_t at, uint32_t* entries,
                         size_t entry_count, int*) {
    if (std::string_view(context) != LIBNBD_CONTEXT_BASE_ALLOCATION) return 0;
    auto& known = *static_cast<std::vector<Known>*>(user_data);
    for (size_t i = 0; i + 1 < entry_count; i += 2) {
      known.push_back({at, at + entries[i], (entries[i + 1] & LIBNBD_STATE_ZERO) != 0});
      at += entries[i];
    }
    return 0;
  };
  int64_t request = nbd_aio_block_status(handle_, count, offset, callback, NBD_NULL_COMPLETION, 0);
  if (request < 0) return failed(fmt::format("block status at {}", offset));
  TRY(wait(Request(request)));
  if (known_.empty() || known_.back().end <= offset) {
    return Error{Fault::kIo, 0,
                 fmt::format("{}: block status at {}: the server told nothing", name_, offset)};
  }
  return {};
}

Result<DataRange> NbdClient::next_data(uint64_t offset) {
  while (offset < size_bytes_) {
    if (!tells_extents_) return DataRange{offset, size_bytes_ - offset};
    auto holds = [&](const Known& known) { return known.begin <= offset && offset < known.end; };
    auto found = std::find_if(known_.begin(), known_.end(), holds);
    if (found == known_.end()) {
      TRY(ask_extents(offset));
    } else if (!found->is_zero) {
      return DataRange{offset, std::min(found->end, size_bytes_) - offset};
    } else {
      offset = found->end;
    }
  }
  return DataRange{};
}

}  // namespace casdisk
