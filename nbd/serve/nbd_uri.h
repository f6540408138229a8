// NBD URIs of what we serve. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace casdisk {

// Everything but letters, digits and - . _ ~ / @ : as %XX.
std::string percent_encoded(std::string_view text);

// "nbd+unix:///web@v1?socket=/run/web.sock". An empty export name stands for the server's default.
std::string unix_nbd_uri(std::string_view export_name, std::string_view socket_path);

enum class UriSecurity { kPlain, kTls };

// "nbd://127.0.0.1:10809/web", "nbd://[::1]:10809/web"; over TLS "nbds://127.0.0.1:10809/web".
std::string tcp_nbd_uri(std::string_view export_name, std::string_view address, uint16_t port,
                        UriSecurity security = UriSecurity::kPlain);

}  // namespace casdisk
