#include "nbd/serve/nbd_uri.h"

#include <gtest/gtest.h>

namespace casdisk {
namespace {

TEST(NbdUri, UnixSockets) {
  EXPECT_EQ(unix_nbd_uri("web@v1", "/run/web.sock"), "nbd+unix:///web@v1?socket=/run/web.sock");
  EXPECT_EQ(unix_nbd_uri("", "/run/_all.sock"), "nbd+unix:///?socket=/run/_all.sock");
}

TEST(NbdUri, WhatWouldEndAPartOfItIsEncoded) {
  EXPECT_EQ(unix_nbd_uri("a", "/tmp/a b?c&d#e%.sock"),
            "nbd+unix:///a?socket=/tmp/a%20b%3Fc%26d%23e%25.sock");
  EXPECT_EQ(unix_nbd_uri("1+1:x", "/\xc3\xa4\n"), "nbd+unix:///1%2B1:x?socket=/%C3%A4%0A");
}

TEST(NbdUri, TcpPutsIpv6IntoBrackets) {
  EXPECT_EQ(tcp_nbd_uri("web", "127.0.0.1", 10809), "nbd://127.0.0.1:10809/web");
  EXPECT_EQ(tcp_nbd_uri("web", "::1", 1), "nbd://[::1]:1/web");
  EXPECT_EQ(tcp_nbd_uri("web", "::1", 1, UriSecurity::kTls), "nbds://[::1]:1/web");
}

}  // namespace
}  // namespace casdisk
