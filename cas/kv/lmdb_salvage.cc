#include "cas/kv/lmdb_salvage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "cas/kv/lmdb.h"
#include "cas/os/bytes.h"
#include "cas/os/retry.h"

namespace casdisk {

namespace {

constexpr uint32_t kMaxKeyBytes = 511;         // LMDB's own limit
constexpr uint32_t kMaxValueBytes = 16 << 20;  // more than any record of ours has
constexpr uint32_t kEnd = 0xffffffff;          // instead of a key's length: all was read
constexpr size_t kPartBytes = 64 * 1024;

// The child's end of the pipe. Failures end the child: then the parent is gone.
class Sender {
 public:
  explicit Sender(int descriptor) : descriptor_(descriptor) {}
  void send(std::span<const std::byte> key, std::span<const std::byte> value) {
    number(uint32_t(key.size()));
    number(uint32_t(value.size()));
    bytes_.insert(bytes_.end(), key.begin(), key.end());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    if (bytes_.size() >= kPartBytes) flush();
  }
  void end() {
    number(kEnd);
    flush();
  }
  void flush() {
    for (size_t sent = 0; sent < bytes_.size();) {
      const ssize_t count = retry_interrupted(
          [&] { return ::write(descriptor_, bytes_.data() + sent, bytes_.size() - sent); });
      if (count <= 0) ::_exit(1);
      sent += size_t(count);
    }
    bytes_.clear();
  }

 private:
  void number(uint32_t value) {
    bytes_.resize(bytes_.size() + sizeof(value));
    store_le(&bytes_[bytes_.size() - sizeof(value)], value);
  }
  const int descriptor_;
  Bytes bytes_;
};

[[noreturn]] void read_in_child(const std::string& directory, std::span<const std::byte> prefix,
                                int descriptor) {
  ::prctl(PR_SET_DUMPABLE, 0);  // that it may die is why it is there
  for (const int death : {SIGBUS, SIGSEGV, SIGABRT}) std::signal(death, SIG_DFL);
  Sender sender(descriptor);
  auto environment = LmdbEnvironment::open(directory, {.map_bytes = uint64_t(64) << 30});
  if (!environment.ok()) ::_exit(2);
  auto read = environment.value()->view([&](LmdbReader& reader) {
    return reader.scan(prefix, {}, [&](auto key, auto value) {
      sender.send(key, value);
      return true;
    });
  });
  sender.flush();
  if (!read.ok()) ::_exit(2);
  sender.end();
  ::_exit(0);
}

// False at the end of the pipe.
bool receive(int descriptor, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t count =
        retry_interrupted([&] { return ::read(descriptor, into.data(), into.size()); });
    if (count <= 0) return false;
    into = into.subspan(size_t(count));
  }
  return true;
}

struct Received {
  Result<void> outcome;
  bool is_complete = false;
};

Received receive_all(int descriptor, const auto& visit) {
  Received received;
  Bytes header(4), key, value;
  for (;;) {
    if (!receive(descriptor, header)) return received;
    const auto key_bytes = load_le<uint32_t>(header.data());
    if (key_bytes == kEnd) {
      received.is_complete = true;
      return received;
    }
    if (!receive(descriptor, header)) return received;
    const auto value_bytes = load_le<uint32_t>(header.data());
    if (key_bytes > kMaxKeyBytes || value_bytes > kMaxValueBytes) return received;
    key.resize(key_bytes);
    value.resize(value_bytes);
    if (!receive(descriptor, key) || !receive(descriptor, value)) return received;
    received.outcome = visit(key, value);
    if (!received.outcome.ok()) return received;
  }
}

std::string end_of(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("reading it ended with signal {}", WTERMSIG(status));
  }
  return "LMDB cannot read it";
}

}  // namespace

Result<Salvage> salvage(
    const std::string& directory, std::span<const std::byte> prefix,
    const std::function<Result<void>(std::span<const std::byte> key,
                                     std::span<const std::byte> value)>& visit) {
  struct stat status;
  // An empty file would be made a new environment.
  if (::stat((directory + "/data.mdb").c_str(), &status) != 0 || status.st_size == 0) {
    return Salvage{false, "there is none"};
  }
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return os_error(errno, "a pipe");
  const pid_t child = ::fork();
  if (child < 0) {
    const int error = errno;
    ::close(pipe[0]);
    ::close(pipe[1]);
    return os_error(error, "a process to read " + directory);
  }
  if (child == 0) {
    ::close(pipe[0]);
    read_in_child(directory, prefix, pipe[1]);
  }
  ::close(pipe[1]);
  Received received = receive_all(pipe[0], visit);
  ::close(pipe[0]);
  if (!received.is_complete) ::kill(child, SIGKILL);  // it may hang, too
  int ended = 0;
  retry_interrupted([&] { return ::waitpid(child, &ended, 0); });
  TRY(std::move(received.outcome));
  return Salvage{received.is_complete, received.is_complete ? "" : end_of(ended)};
}

}  // namespace casdisk
