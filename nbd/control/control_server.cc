#include "nbd/control/control_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "cas/os/parallel.h"
#include "cas/os/retry.h"

namespace casdisk {
namespace {

using Clock = std::chrono::steady_clock;

// Between two lines of progress.
constexpr std::chrono::milliseconds kProgressEvery{200};
// After accept() failed, for want of descriptors say.
constexpr int kAcceptRetryMs = 100;

Error busy(std::string context) { return Error{Fault::kBusy, 0, std::move(context)}; }

// Sends what a seal reports, now and then. Safe from any thread.
class ProgressLines {
 public:
  ProgressLines(ControlStream& stream, uint64_t id) : stream_(stream), id_(id) {}

  void report(uint64_t sealed_bytes) {
    const auto now = Clock::now().time_since_epoch().count();
    auto next = next_.load();
    if (now < next ||
        !next_.compare_exchange_strong(next, now + Clock::duration(kProgressEvery).count())) {
      return;
    }
    // That nobody reads it shows soon enough.
    (void)stream_.send_line(encode(ControlReply{id_, ControlProgress{sealed_bytes}})).ok();
  }

 private:
  ControlStream& stream_;
  const uint64_t id_;
  std::atomic<Clock::rep> next_ = (Clock::now() + kProgressEvery).time_since_epoch().count();
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(ControlSocket socket,
                                                            DiskOperations& operations,
                                                            Guard& guard) {
  std::unique_ptr<ControlServer> server(new ControlServer(std::move(socket), operations, guard));
  auto acceptor = start_thread([&server = *server] { server.accept_until_stopped(); });
  if (!acceptor) return os_error(EAGAIN, "a thread for the control socket");
  server->acceptor_ = std::move(*acceptor);
  return server;
}

ControlServer::~ControlServer() {
  stopping_ = true;
  ::shutdown(socket_.descriptor(), SHUT_RDWR);  // wakes the poll of the acceptor
  if (acceptor_.joinable()) acceptor_.join();
  for (auto& connection : connections_) connection->stream.shut_down();
  for (auto& connection : connections_) connection->thread.join();
}

void ControlServer::accept_until_stopped() {
  while (!stopping_) {
    pollfd wait{socket_.descriptor(), POLLIN, 0};
    retry_interrupted([&] { return ::poll(&wait, 1, -1); });
    if (stopping_) return;
    join_those_done();
    const int descriptor =
        ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
      take(descriptor);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      ::poll(nullptr, 0, kAcceptRetryMs);
    }
  }
}

void ControlServer::take(int descriptor) {
  auto connection = std::make_unique<Connection>(descriptor);
  if (connection->is_guest()) {
    const auto guests = permissions_.has_guests();
    if (!guests.ok() || !guests.value()) return;
  }
  ControlReply refusal;
  refusal.content = busy("the server has all the control connections that it takes: try again");
  if (has_room_for(*connection)) {
    auto thread = start_thread([this, &connection = *connection] { converse(connection); });
    if (thread) {
      connection->thread = std::move(*thread);
      connections_.push_back(std::move(connection));
      return;
    }
  }
  if (connection->stream.send_line(encode(ControlGreeting{kControlVersion, ::getpid()})).ok()) {
    (void)connection->stream.send_line(encode(refusal)).ok();
  }
}

bool ControlServer::has_room_for(const Connection& connection) const {
  if (connections_.size() >= kMaxControlConnections) return false;
  if (!connection.is_guest()) return true;
  size_t guest_count = 0, own_count = 0;
  for (const auto& taken : connections_) {
    if (taken->is_guest()) guest_count++;
    if (taken->peer.uid == connection.peer.uid) own_count++;
  }
  return guest_count < kMaxGuestConnections && own_count < kMaxConnectionsOfGuest;
}

void ControlServer::join_those_done() {
  std::erase_if(connections_, [](auto& connection) {
    if (!connection->done) return false;
    connection->thread.join();
    return true;
  });
}

void ControlServer::converse(Connection& connection) {
  ControlStream& stream = connection.stream;
  ControlCaller caller;
  const auto at_most = connection.is_guest()
                           ? std::optional<ControlStream::Milliseconds>(kMaxGuestIdle)
                           : std::nullopt;
  caller.stop = [&] { return stopping_ || stream.is_closed(); };
  if (stream.send_line(encode(ControlGreeting{kControlVersion, ::getpid()})).ok()) {
    for (;;) {
      auto line = stream.read_line(at_most);
      if (line.ok() && (!line.value() || stopping_)) break;
      if (!line.ok()) {
        (void)stream.send_line(encode(ControlReply{0, std::move(line.error())})).ok();
        break;
      }
      if (!answer(connection, caller, *line.value())) break;
    }
  }
  // Before anybody waits for the end of this thread.
  caller.prepared.clear();
  caller.session.reset();
  stream.shut_down();
  connection.done = true;
}

Result<ControlAnswer> ControlServer::run(Connection& connection, ControlCaller& caller,
                                         const ControlRequest& request) {
  TRY(permissions_.check(connection.peer, request));
  return operations_.run(request, caller);
}

// False when there is nothing more to talk about: the line was no request, or the answer could not
// be sent.
bool ControlServer::answer(Connection& connection, ControlCaller& caller, const std::string& line) {
  const auto id = request_id(line);
  ControlReply reply;
  reply.id = id.value_or(0);
  auto request = decode_request(line);
  if (!id) {
    reply.content = Error{Fault::kInvalid, 0, "a request is a JSON object with \"id\" and \"do\""};
  } else if (!request.ok()) {
    reply.content = std::move(request.error());
  } else {
    ProgressLines progress(connection.stream, reply.id);
    caller.progress = [&](uint64_t bytes) { progress.report(bytes); };
    auto outcome = run(connection, caller, request.value());
    caller.progress = [](uint64_t) {};
    if (outcome.ok()) {
      reply.content = std::move(outcome).value();
    } else {
      reply.content = std::move(outcome.error());
    }
  }
  return connection.stream.send_line(encode(reply)).ok() && id.has_value();
}

}  // namespace casdisk
