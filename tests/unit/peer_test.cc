#include "nbd/auth/peer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace casdisk {
namespace {

TEST(Peer, OfAUnixSocketIsWhoeverMadeIt) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Peer peer = peer_of_unix_socket(ends[0]);
  EXPECT_EQ(peer.uid, ::geteuid());
  EXPECT_TRUE(is_owner_or_root(peer));
  EXPECT_EQ(peer_text(peer), "uid " + std::to_string(::geteuid()));
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_FALSE(peer_of_unix_socket(ends[0]).uid.has_value());
}

TEST(Peer, NobodyElseIsTheOwner) {
  EXPECT_TRUE(is_owner_or_root({0, ""}));
  EXPECT_FALSE(is_owner_or_root({::geteuid() + 1, ""}));
  EXPECT_FALSE(is_owner_or_root({std::nullopt, "127.0.0.1"}));
  EXPECT_FALSE(is_owner_or_root({}));
}

TEST(Peer, AddressesAsText) {
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  ASSERT_EQ(::inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr), 1);
  EXPECT_EQ(ip_address_text(address, sizeof(v4)), "192.0.2.7");
  EXPECT_EQ(peer_text({std::nullopt, "192.0.2.7"}), "192.0.2.7");
  address = {};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(ip_address_text(address, sizeof(v6)), "::1");
  address = {};
  address.ss_family = AF_UNIX;
  EXPECT_EQ(ip_address_text(address, sizeof(sa_family_t)), "");
  EXPECT_EQ(peer_text({}), "an unknown client");
}

}  // namespace
}  // namespace casdisk
