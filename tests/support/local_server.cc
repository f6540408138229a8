#include "tests/support/local_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

namespace casdisk {
namespace {

constexpr std::chrono::seconds kStartTime{60};  // on a machine that is busy with other tests

// Where Debian has servers, which a user's PATH may leave out.
std::string find_program(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return {};
}

// The answer to a request, up to `end` at least, or what there is of it.
std::string ask(int socket_fd, const sockaddr* address, socklen_t size, std::string_view request,
                std::string_view end) {
  std::string answer;
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(socket_fd, address, size) == 0 &&
      ::send(socket_fd, request.data(), request.size(), MSG_NOSIGNAL) == ssize_t(request.size())) {
    char bytes[512];
    ssize_t got = 0;
    while (answer.find(end) == answer.npos &&
           (got = ::recv(socket_fd, bytes, sizeof bytes, 0)) > 0) {
      answer.append(bytes, size_t(got));
    }
  }
  ::close(socket_fd);
  return answer;
}

// The last of a log, which goes with its directory.
std::string end_of(const std::string& path) {
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.substr(text.size() - std::min<size_t>(text.size(), 2000));
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// A port of 127.0.0.1 that is free, and not among those that the kernel gives to clients: a server
// that is started again finds it free again.
uint16_t find_port() {
  static std::minstd_rand dice(std::random_device{}());
  for (;;) {
    const uint16_t port = uint16_t(12'000 + dice() % 20'000);
    const sockaddr_in address = loopback(port);
    const int socket_fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_free =
        ::bind(socket_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(socket_fd);
    if (is_free) return port;
  }
}

class RedisServer : public LocalServer {
 public:
  RedisServer(std::string directory, std::vector<std::string> more)
      : directory_(std::move(directory)), more_(std::move(more)) {}
  std::string program() const override { return "redis-server"; }
  std::string url(const std::string& prefix) const override {
    return "redis+unix://" + socket_path() + (prefix.empty() ? "" : "?prefix=" + prefix);
  }

 protected:
  std::vector<std::string> arguments() override {
    std::vector<std::string> words = {"--port",        "0",        "--unixsocket", socket_path(),
                                      "--dir",         directory_, "--appendonly", "yes",
                                      "--appendfsync", "always",   "--save",       "",
                                      "--logfile",     log_path()};
    words.insert(words.end(), more_.begin(), more_.end());
    return words;
  }
  bool is_ready() const override {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = socket_path();
    CHECK(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const std::string answer =
        ask(::socket(AF_UNIX, SOCK_STREAM, 0), reinterpret_cast<const sockaddr*>(&address),
            sizeof address, "PING\r\n", "\r\n");
    return answer.starts_with("+PONG") || answer.starts_with("-NOAUTH");
  }
  std::string log_path() const override { return directory_ + "/redis.log"; }

 private:
  std::string socket_path() const { return directory_ + "/redis.sock"; }

  const std::string directory_;
  const std::vector<std::string> more_;
};

class EtcdServer : public LocalServer {
 public:
  EtcdServer(std::string directory, std::vector<std::string> more)
      : directory_(std::move(directory)), more_(std::move(more)) {}
  std::string program() const override { return "etcd"; }
  std::string url(const std::string& prefix) const override {
    return fmt::format("etcd://127.0.0.1:{}{}{}", port_, prefix.empty() ? "" : "/", prefix);
  }

 protected:
  std::vector<std::string> arguments() override {
    const std::string client = fmt::format("http://127.0.0.1:{}", port_);
    const std::string peer = fmt::format("http://127.0.0.1:{}", peer_port_);
    std::vector<std::string> words = {
        "--name", "alone", "--data-dir", directory_ + "/etcd", "--listen-client-urls", client,
        "--advertise-client-urls", client, "--listen-peer-urls", peer,
        "--initial-advertise-peer-urls", peer, "--initial-cluster", "alone=" + peer,
        // Leases of one second, which are never shorter than an election.
        "--heartbeat-interval", "10", "--election-timeout", "100", "--logger", "zap"};
    words.insert(words.end(), more_.begin(), more_.end());
    return words;
  }
  bool is_ready() const override {
    const sockaddr_in address = loopback(port_);
    const std::string answer = ask(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                                   reinterpret_cast<const sockaddr*>(&address), sizeof address,
                                   "GET /health HTTP/1.0\r\n\r\n", kHealthy);
    return answer.find(kHealthy) != answer.npos;
  }
  std::string log_path() const override { return directory_ + "/etcd.log"; }

 private:
  static constexpr std::string_view kHealthy = R"("health":"true")";

  const std::string directory_;
  const std::vector<std::string> more_;
  const uint16_t port_ = find_port();
  const uint16_t peer_port_ = find_port();
};

}  // namespace

LocalServer::~LocalServer() { signal(SIGKILL); }

std::string LocalServer::skip_reason() const {
  return find_program(program()).empty() ? program() + " is not installed" : std::string();
}

Result<void> LocalServer::start() {
  CHECK(pid_ < 0);
  std::vector<std::string> words = arguments();
  words.insert(words.begin(), find_program(program()));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string log = log_path();
  pid_ = ::fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log_fd = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(log_fd, 1);
    ::dup2(log_fd, 2);
    ::close_range(3, ~0U, 0);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + kStartTime;
  while (!is_ready()) {
    if (has_ended() || std::chrono::steady_clock::now() > deadline) {
      signal(SIGKILL);
      return Error{Fault::kUnavailable, 0,
                   fmt::format("{} does not run: {}", words[0], end_of(log))};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

bool LocalServer::has_ended() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ < 0;
}

void LocalServer::signal(int number) {
  if (pid_ < 0) return;
  ::kill(pid_, number);
  if (number == SIGSTOP) ::waitpid(pid_, nullptr, WUNTRACED);  // its threads run on for a moment
  if (number != SIGKILL && number != SIGTERM) return;
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::unique_ptr<LocalServer> make_redis_server(const std::string& directory,
                                               std::vector<std::string> more) {
  return std::make_unique<RedisServer>(directory, std::move(more));
}

std::unique_ptr<LocalServer> make_etcd_server(const std::string& directory,
                                              std::vector<std::string> more) {
  return std::make_unique<EtcdServer>(directory, std::move(more));
}

}  // namespace casdisk
