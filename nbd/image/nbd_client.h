// NbdClient: one connection to an NBD server. The one door to libnbd is nbd_client.cc.
//
// Requests are started and waited for by their number, several may be in flight; a buffer belongs
// to the request until wait() returned or the client is gone. Every wait ends within a fraction of
// a second after `stop` became true, with EINTR. Not safe for concurrent use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cas/os/file.h"
#include "cas/os/result.h"

struct nbd_handle;

namespace casdisk {

class NbdClient {
 public:
  using Stop = std::function<bool()>;
  using Request = uint64_t;

  // `uri` also names the server in messages.
  static Result<std::unique_ptr<NbdClient>> connect_uri(const std::string& uri, Stop stop);
  // Runs a server that takes its socket by systemd's socket activation and ends with this client;
  // `name` is what messages call it.
  static Result<std::unique_ptr<NbdClient>> connect_command(std::vector<std::string> command,
                                                            const std::string& name, Stop stop);
  ~NbdClient();
  NbdClient(const NbdClient&) = delete;
  NbdClient& operator=(const NbdClient&) = delete;

  const std::string& name() const { return name_; }
  uint64_t size_bytes() const { return size_bytes_; }
  bool is_read_only() const { return is_read_only_; }
  bool can_zero() const { return can_zero_; }

  Result<Request> start_read(uint64_t offset, std::span<std::byte> into);
  Result<Request> start_write(uint64_t offset, std::span<const std::byte> from);
  // REQUIRES: can_zero(). At most kMaxZeroBytes.
  static constexpr uint64_t kMaxZeroBytes = uint64_t(1) << 30;
  Result<Request> start_zero(uint64_t offset, uint64_t length);
  // After one request failed all others do, with the same error.
  Result<void> wait(Request request);

  Result<void> flush();

  // The first range that may hold anything but zeros at or after `offset`, empty (length 0) when
  // there is none. A server that does not tell has only data.
  Result<DataRange> next_data(uint64_t offset);

 private:
  struct Known {  // what the server said about [begin, end)
    uint64_t begin = 0;
    uint64_t end = 0;
    bool is_zero = false;
  };

  NbdClient(nbd_handle* handle, std::string name, Stop stop);
  static Result<std::unique_ptr<NbdClient>> make(const std::string& name, Stop stop);
  Result<void> connected();
  Result<void> wait_once(Request request);
  Result<void> wait_for_connection();
  Result<void> poll_once();
  Result<void> ask_extents(uint64_t offset);
  Error failed(const std::string& what) const;

  nbd_handle* handle_;
  std::string name_;
  Stop stop_;
  uint64_t size_bytes_ = 0;
  bool is_read_only_ = false;
  bool can_zero_ = false;
  bool tells_extents_ = false;
  std::optional<Error> failure_;
  std::vector<Known> known_;  // ascending, the last answer
};

}  // namespace casdisk
