#include "remotes/kv/server_url.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "cas/os/hex.h"

namespace casdisk {
namespace {

constexpr uint64_t kMaxTimeoutMs = 3'600'000;

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

// Of either case.
int digit_at(std::string_view text, size_t i) {
  return i < text.size() ? hex_digit(char(std::tolower(uint8_t(text[i])))) : -1;
}

Result<std::string> decode_percent(std::string_view text, const char* what) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = digit_at(text, i + 1), low = digit_at(text, i + 2);
    if (high < 0 || low < 0) {
      return invalid(fmt::format("the {}: behind a % are two hexadecimal digits", what));
    }
    decoded += char(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// The part of `text` before the first `mark`, which is taken off with it.
std::string_view take_until(std::string_view& text, char mark) {
  const size_t at = text.find(mark);
  const std::string_view part = text.substr(0, at);
  text = at == text.npos ? std::string_view() : text.substr(at + 1);
  return part;
}

// Its errors do not show the text: it is the beginning of a password where that has a slash.
Result<ServerAddress> parse_address(std::string_view text, uint16_t default_port) {
  ServerAddress address{std::string(text), default_port};
  size_t colon = text.rfind(':');
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == text.npos) return invalid("the server: a ] is missing");
    address.host = text.substr(1, end - 1);
    colon = end + 1 < text.size() ? end + 1 : text.npos;
    if (colon != text.npos && text[colon] != ':') {
      return invalid("the server: behind the ] is a port or nothing");
    }
  } else if (colon != text.npos) {
    address.host = text.substr(0, colon);
  }
  if (address.host.empty()) return invalid("the server has no name");
  if (colon == text.npos) return address;
  auto port = parse_number(text.substr(colon + 1), 65535);
  if (!port.ok() || port.value() == 0) {
    return invalid(
        "behind the server's name comes a port, from 1 to 65535; in a user's name and a password / "
        "is %2F, ? is %3F");
  }
  address.port = uint16_t(port.value());
  return address;
}

// What is no name of any option may be of a password.
std::string shown_option(std::string_view name) {
  const bool is_name = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == name.npos;
  return is_name ? fmt::format("option \"{}\"", name) : "an option";
}

Result<void> parse_options(std::string_view text, ServerUrl& url) {
  while (!text.empty()) {
    std::string_view value = take_until(text, '&');
    const std::string name(take_until(value, '='));
    TRY_ASSIGN(std::string decoded, decode_percent(value, "options"));
    if (url.options.emplace(name, std::move(decoded)).second) continue;
    return invalid(shown_option(name) + ": twice");
  }
  return {};
}

}  // namespace

Result<uint64_t> parse_number(std::string_view text, uint64_t most) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number <= most) return number;
  return invalid(fmt::format("\"{}\": a number from 0 to {} is wanted", text, most));
}

Result<ServerUrl> parse_server_url(std::string_view rest, uint16_t default_port) {
  if (!rest.starts_with("//")) return invalid("behind the colon come two slashes");
  rest.remove_prefix(2);
  ServerUrl url;
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  std::string_view options = rest.substr(end);
  TRY_ASSIGN(url.path, decode_percent(take_until(options, '?'), "path"));
  TRY(parse_options(options, url));
  if (const size_t at = authority.rfind('@'); at != authority.npos) {
    std::string_view password = authority.substr(0, at);
    TRY_ASSIGN(url.user, decode_percent(take_until(password, ':'), "user's name"));
    TRY_ASSIGN(url.password, decode_percent(password, "password"));
    authority.remove_prefix(at + 1);
  }
  while (!authority.empty()) {
    if (url.servers.size() == kMaxServerCount) {
      return invalid(fmt::format("more than {} servers", kMaxServerCount));
    }
    TRY_ASSIGN(ServerAddress address, parse_address(take_until(authority, ','), default_port));
    url.servers.push_back(std::move(address));
  }
  return url;
}

std::string take_option(ServerUrl& url, std::string_view name, std::string missing) {
  const auto found = url.options.find(name);
  if (found == url.options.end()) return missing;
  std::string value = std::move(found->second);
  url.options.erase(found);
  return value;
}

Result<uint64_t> take_number(ServerUrl& url, std::string_view name, uint64_t missing,
                             uint64_t most) {
  auto number = parse_number(take_option(url, name, std::to_string(missing)), most);
  if (!number.ok()) number.error().context = fmt::format("{}={}", name, number.error().context);
  return number;
}

Result<std::chrono::milliseconds> take_timeout(ServerUrl& url, std::chrono::milliseconds missing) {
  TRY_ASSIGN(const uint64_t time_ms,
             take_number(url, "timeout_ms", uint64_t(missing.count()), kMaxTimeoutMs));
  if (time_ms == 0) return invalid("timeout_ms: at least 1");
  return std::chrono::milliseconds(time_ms);
}

Result<void> expect_no_more_options(const ServerUrl& url) {
  if (url.options.empty()) return {};
  return invalid(shown_option(url.options.begin()->first) + ": there is none of that name");
}

}  // namespace casdisk
