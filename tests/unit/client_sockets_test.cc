#include "nbd/client_sockets.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <string>
#include <utility>

#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

// A server's sockets: one that listens, and those that it accepted, each with its client's end.
class ClientSocketsTest : public testing::Test {
 protected:
  struct Connection {
    int client = -1;
    int server = -1;
  };

  ClientSocketsTest() {
    address_.sun_family = AF_UNIX;
    std::strcpy(address_.sun_path, (directory_.path() + "/s").c_str());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(listener_, generic(), sizeof(address_)), 0);
    EXPECT_EQ(::listen(listener_, 10), 0);
  }
  ~ClientSocketsTest() override {
    ::close(listener_);
    for (Connection& connection : connections_) close(connection);
  }

  Connection& connect() {
    Connection made;
    made.client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(made.client, generic(), sizeof(address_)), 0);
    made.server = ::accept(listener_, nullptr, nullptr);
    return connections_.emplace_back(made);
  }
  void close(Connection& connection) {
    for (int* end : {&connection.client, &connection.server}) {
      if (*end >= 0) ::close(*end);
      *end = -1;
    }
  }
  static bool was_hung_up_on(const Connection& connection) {
    pollfd look{connection.server, POLLRDHUP, 0};
    return ::poll(&look, 1, 0) == 1 && (look.revents & POLLRDHUP) != 0;
  }
  // Replies still go through.
  static bool can_answer(const Connection& connection) {
    char byte = 'x';
    return ::send(connection.server, &byte, 1, MSG_NOSIGNAL) == 1 &&
           ::recv(connection.client, &byte, 1, 0) == 1;
  }
  ClientPeer ourselves() {
    ClientPeer peer;
    peer.pid = ::getpid();
    return peer;
  }
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address_); }

  TemporaryDirectory directory_;
  sockaddr_un address_{};
  int listener_ = -1;
  std::deque<Connection> connections_;
  ClientSockets sockets_;
  std::atomic<unsigned> clients_[8] = {};  // how many requests each has waiting
  LastReplies replies_;
};

TEST_F(ClientSocketsTest, EachIsKnownWhenTheyComeOneAfterAnother) {
  auto& a = connect();
  sockets_.add(&clients_[0], "a", ourselves(), clients_[0]);
  auto& b = connect();
  sockets_.add(&clients_[1], "b", ourselves(), clients_[1]);
  auto& more = connect();
  sockets_.add(&clients_[2], "a", ourselves(), clients_[2]);
  EXPECT_TRUE(sockets_.hang_up("nobody", replies_).empty());
  const auto ended = sockets_.hang_up("a", replies_);
  EXPECT_EQ(ended.size(), 2u);
  EXPECT_TRUE(was_hung_up_on(a));
  EXPECT_TRUE(was_hung_up_on(more));
  EXPECT_FALSE(was_hung_up_on(b));
  EXPECT_TRUE(can_answer(a));
  EXPECT_EQ(sockets_.count(ended), 2u);
  sockets_.remove(&clients_[0]);
  sockets_.add(&clients_[0], "a", ourselves(), clients_[0]);  // it is back
  EXPECT_EQ(sockets_.count(ended), 1u);
}

TEST_F(ClientSocketsTest, WhatIsUnderWayIsAnsweredBeforeTheEnd) {
  auto& a = connect();
  sockets_.add(&clients_[0], "a", ourselves(), clients_[0]);
  clients_[0] = 1;
  sockets_.hang_up("a", replies_);
  char text[8] = {};
  EXPECT_EQ(::recv(a.server, text, sizeof(text), 0), 0);  // nothing more to read
  EXPECT_EQ(::send(a.server, "answer", 6, MSG_NOSIGNAL), 6);
  ::close(std::exchange(a.server, -1));
  replies_.carry(std::chrono::milliseconds(5000));
  EXPECT_EQ(::recv(a.client, text, sizeof(text), 0), 6);
  EXPECT_EQ(std::string(text), "answer");
  EXPECT_EQ(::recv(a.client, text, sizeof(text), 0), 0);
}

TEST_F(ClientSocketsTest, WhatMayBeAnothersIsLeftAloneUntilItIsKnown) {
  auto& first = connect();
  auto& second = connect();
  sockets_.add(&clients_[0], "a", ourselves(), clients_[0]);
  sockets_.add(&clients_[1], "b", ourselves(), clients_[1]);
  EXPECT_EQ(sockets_.hang_up("a", replies_).size(), 1u);
  EXPECT_FALSE(was_hung_up_on(first) || was_hung_up_on(second));
  close(second);
  sockets_.remove(&clients_[1]);
  sockets_.hang_up("a", replies_);
  EXPECT_TRUE(was_hung_up_on(first));
}

TEST_F(ClientSocketsTest, ClientsOfOneExportNeedNotBeToldApart) {
  auto& first = connect();
  auto& second = connect();
  sockets_.add(&clients_[0], "a", ourselves(), clients_[0]);
  sockets_.add(&clients_[1], "a", ourselves(), clients_[1]);
  sockets_.hang_up("a", replies_);
  EXPECT_TRUE(was_hung_up_on(first) && was_hung_up_on(second));
}

TEST_F(ClientSocketsTest, OtherPeersAndSocketsAreNotMeant) {
  auto& ours = connect();
  ClientPeer other = ourselves();
  other.pid++;
  sockets_.add(&clients_[0], "a", other, clients_[0]);
  sockets_.hang_up("a", replies_);
  EXPECT_FALSE(was_hung_up_on(ours));
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  sockets_.add(&clients_[1], "b", ourselves(), clients_[1]);
  sockets_.hang_up("b", replies_);
  EXPECT_TRUE(was_hung_up_on(ours));
  EXPECT_FALSE(was_hung_up_on({pair[0], pair[1]}));
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_F(ClientSocketsTest, ADescriptorThatIsUsedAgainIsNotTheOldSocket) {
  auto& old = connect();
  sockets_.add(&clients_[0], "a", ourselves(), clients_[0]);
  close(old);
  auto& later = connect();
  sockets_.add(&clients_[1], "b", ourselves(), clients_[1]);
  sockets_.hang_up("a", replies_);
  EXPECT_FALSE(was_hung_up_on(later));
}

}  // namespace
}  // namespace casdisk
