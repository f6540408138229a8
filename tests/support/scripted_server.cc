#include "tests/support/scripted_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cas/os/result.h"

namespace casdisk {
namespace {

constexpr int kPollMs = 10;

}  // namespace

ScriptedServer::ScriptedServer() : listener_fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  CHECK(::bind(listener_fd_, raw, size) == 0);
  CHECK(::listen(listener_fd_, 8) == 0);
  CHECK(::getsockname(listener_fd_, raw, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  is_over_ = true;
  thread_.join();
  ::close(listener_fd_);
}

void ScriptedServer::answer(std::string text) {
  std::lock_guard lock(mutex_);
  answers_.push_back(std::move(text));
}

std::vector<std::string> ScriptedServer::requests() {
  std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::serve() {
  while (!is_over_) {
    pollfd waiting = {.fd = listener_fd_, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, kPollMs) != 1) continue;
    const int connection_fd = ::accept4(listener_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    while (!is_over_ && serve_one(connection_fd)) {
    }
    ::close(connection_fd);
  }
}

bool ScriptedServer::serve_one(int connection_fd) {
  pollfd waiting[] = {{.fd = connection_fd, .events = POLLIN, .revents = 0},
                      {.fd = listener_fd_, .events = POLLIN, .revents = 0}};
  if (::poll(waiting, 2, kPollMs) < 1) return true;
  if (waiting[0].revents == 0) return false;  // a client that opened another one
  std::string request(65536, '\0');
  const ssize_t got = ::recv(connection_fd, request.data(), request.size(), 0);
  if (got <= 0) return false;
  request.resize(size_t(got));
  std::lock_guard lock(mutex_);
  requests_.push_back(std::move(request));
  if (answers_.empty()) return false;
  const std::string text = std::move(answers_.front());
  answers_.pop_front();
  return !text.empty() &&
         ::send(connection_fd, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size());
}

}  // namespace casdisk
