// The URL of a store that a server keeps, taken apart: pure functions.
//
//     //user:password@host:1234,[::1]:1235/path?name=value&name=value
//
// All but the slashes may be missing. User, password, path and values may have %XX.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

struct ServerAddress {
  std::string host;
  uint16_t port = 0;
};

struct ServerUrl {
  std::string user;
  std::string password;
  std::vector<ServerAddress> servers;  // none where there is a path alone
  std::string path;                    // with its slash, or empty
  std::map<std::string, std::string, std::less<>> options;
};

inline constexpr size_t kMaxServerCount = 16;
// Of the names of all that a store keeps.
inline constexpr size_t kMaxPrefixBytes = 512;

// What is behind the scheme and its colon. kInvalid, with the reason and never with a password.
Result<ServerUrl> parse_server_url(std::string_view rest, uint16_t default_port);

// Takes an option out; `missing` where it is not there.
std::string take_option(ServerUrl& url, std::string_view name, std::string missing = {});
// The same of a number, within its bounds.
Result<uint64_t> take_number(ServerUrl& url, std::string_view name, uint64_t missing,
                             uint64_t most);
// timeout_ms=, 1 ms to an hour.
Result<std::chrono::milliseconds> take_timeout(ServerUrl& url, std::chrono::milliseconds missing);
// kInvalid for options that nobody took, which it names.
Result<void> expect_no_more_options(const ServerUrl& url);

// A whole number in decimal digits.
Result<uint64_t> parse_number(std::string_view text, uint64_t most);

}  // namespace casdisk
