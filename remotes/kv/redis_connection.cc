#include "remotes/kv/redis_connection.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace casdisk {
namespace {

constexpr timeval kConnectTimeout = {.tv_sec = 3, .tv_usec = 0};
// An answer's, which none of ours is near: a value of 32 MiB is the largest, a write of 4,096
// operations the longest.
constexpr size_t kMaxReplyBytes = size_t(64) << 20;
constexpr size_t kReadBytes = size_t(64) << 10;
// What servers say is short; an error of thousands of bytes would quote somebody's data.
constexpr size_t kShownErrorBytes = 200;

RedisReply to_reply(redisReply& raw) {
  RedisReply reply;
  switch (raw.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      reply.kind = RedisReply::Kind::kText;
      reply.text.assign(raw.str, raw.len);
      break;
    case REDIS_REPLY_ERROR:
      reply.kind = RedisReply::Kind::kError;
      reply.text.assign(raw.str, raw.len);
      break;
    case REDIS_REPLY_INTEGER:
      reply.kind = RedisReply::Kind::kNumber;
      reply.number = raw.integer;
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = RedisReply::Kind::kArray;
      reply.elements.reserve(raw.elements);
      for (size_t i = 0; i < raw.elements; i++) reply.elements.push_back(to_reply(*raw.element[i]));
      break;
    default:
      break;
  }
  return reply;
}

}  // namespace

RedisConnection::RedisConnection(redisContext* context, std::string name,
                                 std::chrono::milliseconds timeout)
    : context_(context), name_(std::move(name)), timeout_(timeout) {}

RedisConnection::~RedisConnection() { ::redisFree(context_); }

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(const RedisAddress& address) {
  redisContext* const context =
      address.socket_path.empty()
          ? ::redisConnectWithTimeout(address.host.c_str(), address.port, kConnectTimeout)
          : ::redisConnectUnixWithTimeout(address.socket_path.c_str(), kConnectTimeout);
  if (context == nullptr) {
    return Error{Fault::kIo, ENOMEM, address.name + ": no memory for a connection"};
  }
  std::unique_ptr<RedisConnection> connection(
      new RedisConnection(context, address.name, address.timeout));
  if (context->err != 0) {
    return Error{Fault::kUnavailable, 0,
                 fmt::format("{}: no connection: {}; is the server running?", address.name,
                             static_cast<const char*>(context->errstr))};
  }
  if (address.socket_path.empty()) ::redisEnableKeepAlive(context);
  TRY(connection->introduce(address));
  return connection;
}

Result<void> RedisConnection::introduce(const RedisAddress& address) {
  const auto expect_ok = [&](std::span<const std::string_view> arguments) -> Result<void> {
    TRY_ASSIGN(const RedisReply reply, command(arguments));
    if (reply.kind == RedisReply::Kind::kError) return redis_error(name_, reply);
    return {};
  };
  if (!address.password.empty()) {
    std::vector<std::string_view> arguments = {"AUTH"};
    if (!address.user.empty()) arguments.push_back(address.user);
    arguments.push_back(address.password);
    TRY(expect_ok(arguments));
  }
  if (address.database == 0) return {};
  const std::string number = std::to_string(address.database);
  const std::string_view arguments[] = {"SELECT", number};
  return expect_ok(arguments);
}

bool RedisConnection::is_stale() const {
  char byte = 0;
  const ssize_t got = ::recv(context_->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

Error RedisConnection::lost(std::string_view what) {
  is_broken_ = true;
  return Error{Fault::kUnavailable, 0,
               fmt::format("{}: {}{}", name_, what,
                           may_have_run_ ? "; what was asked for may have been done" : "")};
}

// Until the socket takes or has something, or the time of the command is over.
Result<void> RedisConnection::wait_for(short events) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
    pollfd polled = {.fd = context_->fd, .events = events, .revents = 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&polled, 1, int(left.count()));
    if (ready > 0) return {};
    if (ready == 0) return lost(fmt::format("no answer within {} ms", timeout_.count()));
    if (errno != EINTR) return lost(fmt::format("the connection broke: {}", std::strerror(errno)));
  }
}

Result<void> RedisConnection::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        ::send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(size_t(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(wait_for(POLLOUT));
    } else if (errno != EINTR) {
      return lost(fmt::format("the connection broke: {}", std::strerror(errno)));
    }
  }
  return {};
}

// Not by hiredis, whose write() raises SIGPIPE where the server has hung up.
Result<void> RedisConnection::send(std::span<const std::string_view> arguments) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string_view argument : arguments) {
    texts.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  sds line = nullptr;
  const int formatted =
      ::redisFormatSdsCommandArgv(&line, int(arguments.size()), texts.data(), sizes.data());
  if (formatted < 0) return lost("a command is too large to be sent");
  auto sent = send_all({line, size_t(formatted)});
  ::redisFreeSdsCommand(line);
  return sent;
}

// Some of an answer, to hiredis' reader. How many bytes.
Result<size_t> RedisConnection::receive(std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::recv(context_->fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
      if (::redisReaderFeed(context_->reader, buffer.data(), size_t(got)) == REDIS_OK) {
        return size_t(got);
      }
      return lost("no memory for an answer");
    }
    if (got == 0) return lost("the connection broke: the server has closed it");
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(wait_for(POLLIN));
    } else if (errno != EINTR) {
      return lost(fmt::format("the connection broke: {}", std::strerror(errno)));
    }
  }
}

// Not by hiredis, whose time begins anew with each byte, and whose answers have no bounds.
Result<RedisReply> RedisConnection::receive_reply() {
  std::vector<char> buffer(kReadBytes);
  size_t received_bytes = 0;
  for (;;) {
    void* raw = nullptr;
    if (::redisReaderGetReply(context_->reader, &raw) != REDIS_OK) {
      return lost(fmt::format("the connection broke: {}",
                              static_cast<const char*>(context_->reader->errstr)));
    }
    if (raw != nullptr) {
      // What is behind it nobody asked for.
      if (context_->reader->pos != context_->reader->len) is_broken_ = true;
      RedisReply reply = to_reply(*static_cast<redisReply*>(raw));
      ::freeReplyObject(raw);
      return reply;
    }
    if (received_bytes > kMaxReplyBytes) {
      Error error = lost(fmt::format("an answer of more than {} bytes", kMaxReplyBytes));
      error.fault = Fault::kTooLarge;
      error.max = kMaxReplyBytes;
      error.actual = received_bytes;
      return error;
    }
    TRY_ASSIGN(const size_t got, receive(buffer));
    received_bytes += got;
  }
}

Result<RedisReply> RedisConnection::command(std::span<const std::string_view> arguments) {
  deadline_ = Clock::now() + timeout_;
  may_have_run_ = false;  // a server carries out whole commands only
  TRY(send(arguments));
  may_have_run_ = true;
  return receive_reply();
}

Error redis_error(const std::string& server, const RedisReply& reply) {
  struct Meaning {
    std::string_view word;
    Fault fault;
    std::string_view remedy;
  };
  static constexpr std::string_view kNotAllowed =
      "docs/KV.md has the commands that the user needs; nothing was changed";
  static constexpr Meaning kMeanings[] = {
      {"OOM", Fault::kNoSpace, "remove records, or raise maxmemory"},
      {"MISCONF", Fault::kUnavailable, "the server cannot write to its disk; see its log"},
      {"LOADING", Fault::kUnavailable, "it is starting; try again"},
      {"BUSY", Fault::kUnavailable, "it runs a long script; try again"},
      {"READONLY", Fault::kUnavailable, "it is a replica; name the primary"},
      {"MASTERDOWN", Fault::kUnavailable, "it is a replica that has lost its primary"},
      {"TRYAGAIN", Fault::kUnavailable, "try again"},
      {"NOREPLICAS", Fault::kUnavailable, "too few replicas are connected"},
      {"NOAUTH", Fault::kInvalid, "put the password into the URL, or password_file=PATH"},
      {"WRONGPASS", Fault::kInvalid, "check user and password"},
      {"NOPERM", Fault::kInvalid, kNotAllowed},
      {"ERR The user executing the script can't", Fault::kInvalid, kNotAllowed},
      {"MOVED", Fault::kUnsupported, "it is a cluster; name a single server"},
      {"CROSSSLOT", Fault::kUnsupported, "it is a cluster; name a single server"},
      {"CLUSTERDOWN", Fault::kUnsupported, "it is a cluster; name a single server"},
  };
  std::string_view said = reply.text;
  said = said.substr(0, std::min(said.find(", with args"), kShownErrorBytes));
  for (const Meaning& meaning : kMeanings) {
    if (!said.starts_with(meaning.word) || !said.substr(meaning.word.size()).starts_with(' ')) {
      continue;
    }
    return Error{meaning.fault, 0, fmt::format("{}: {} ({})", server, said, meaning.remedy)};
  }
  return Error{Fault::kIo, 0, fmt::format("{}: {}", server, said)};
}

}  // namespace casdisk
