#include "nbd/control/control_client.h"

#include <fmt/format.h>

#include <cerrno>

#include "nbd/control/control_socket.h"

namespace casdisk {
namespace {

Error busy(std::string context) { return Error{Fault::kBusy, 0, std::move(context)}; }

Error went_away(int64_t pid) {
  return Error{
      Fault::kIo, ECONNRESET,
      fmt::format("the server, pid {}, ended before it answered: what it was asked for may "
                  "have happened or not; look, or try again",
                  pid)};
}

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::connect(const std::string& store_path,
                                                              const LockHolder& holder) {
  if (holder.note.empty()) return busy(fmt::format("held by pid {}", holder.pid));
  auto descriptor = connect_to_control_socket(store_path, holder.note);
  if (!descriptor.ok() && descriptor.error().os_error == ETIMEDOUT) {
    return busy(fmt::format("held by pid {}, which does not answer", holder.pid));
  }
  if (!descriptor.ok()) return std::move(descriptor.error());
  std::unique_ptr<ControlClient> client(new ControlClient(descriptor.value(), holder.pid));
  auto line = client->read_line(kGreetingTime);
  if (!line.ok() && line.error().os_error == ECONNRESET) {
    return Error{Fault::kNotFound, 0, fmt::format("the server, pid {}, is gone", holder.pid)};
  }
  if (!line.ok()) return busy(describe(line.error()));
  TRY_ASSIGN(ControlGreeting greeting, decode_greeting(line.value()));
  if (greeting.version == kControlVersion) return client;
  return busy(
      fmt::format("held by pid {}, a server that speaks version {} of the control protocol, "
                  "not {}: use the casdisk that it came with",
                  holder.pid, greeting.version, kControlVersion));
}

Result<std::string> ControlClient::read_line(std::optional<Milliseconds> at_most) {
  auto line = stream_.read_line(at_most);
  if (!line.ok() && line.error().os_error == ETIMEDOUT) {
    return Error{Fault::kBusy, ETIMEDOUT, fmt::format("the server, pid {}, does not answer", pid_)};
  }
  if (!line.ok()) return std::move(line.error());
  if (!line.value()) return went_away(pid_);
  return std::move(*line.value());
}

Result<ControlAnswer> ControlClient::call(ControlRequest request, const SealProgress& progress,
                                          std::optional<Milliseconds> at_most) {
  request.id = ++last_id_;
  auto sent = stream_.send_line(encode(request));
  // That it has gone shows in what it leaves to read, too: an error, perhaps, that says why.
  if (!sent.ok() && sent.error().fault == Fault::kInvalid) return std::move(sent.error());
  for (;;) {
    TRY_ASSIGN(std::string line, read_line(at_most));
    TRY_ASSIGN(ControlReply reply, decode_reply(line));
    if (reply.id != request.id && reply.id != 0) continue;  // of a request that was given up
    if (auto* error = std::get_if<Error>(&reply.content)) return std::move(*error);
    if (auto* answer = std::get_if<ControlAnswer>(&reply.content)) return std::move(*answer);
    progress(std::get<ControlProgress>(reply.content).sealed_bytes);
  }
}

}  // namespace casdisk
