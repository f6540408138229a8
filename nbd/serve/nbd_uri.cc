#include "nbd/serve/nbd_uri.h"

#include <fmt/format.h>

namespace casdisk {

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain = "-._~/@:";
  std::string encoded;
  for (char c : text) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alphanumeric || kPlain.find(c) != kPlain.npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", uint8_t(c));
    }
  }
  return encoded;
}

std::string unix_nbd_uri(std::string_view export_name, std::string_view socket_path) {
  return fmt::format("nbd+unix:///{}?socket={}", percent_encoded(export_name),
                     percent_encoded(socket_path));
}

std::string tcp_nbd_uri(std::string_view export_name, std::string_view address, uint16_t port,
                        UriSecurity security) {
  const bool is_v6 = address.find(':') != address.npos;
  const std::string_view scheme = security == UriSecurity::kTls ? "nbds" : "nbd";
  return fmt::format("{}://{}{}{}:{}/{}", scheme, is_v6 ? "[" : "", address, is_v6 ? "]" : "", port,
                     percent_encoded(export_name));
}

}  // namespace casdisk
