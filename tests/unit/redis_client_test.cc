#include "remotes/kv/redis_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/support/result_assertions.h"
#include "tests/support/scripted_server.h"

namespace casdisk {
namespace {

using Repeat = RedisClient::Repeat;

class RedisClientTest : public testing::Test {
 protected:
  Result<RedisReply> call(const RedisClient::How& how) {
    const std::string_view arguments[] = {"INCR", "n"};
    return client_.call(arguments, how);
  }

  ScriptedServer server_;
  RedisAddress address_{.name = "redis://test", .host = "127.0.0.1", .port = server_.port()};
  RedisClient client_{address_};
};

TEST_F(RedisClientTest, AWriteThatMayHaveBeenDoneIsNotSentAgain) {
  server_.answer("");
  server_.answer(":1\r\n");
  auto reply = call({.repeat = Repeat::kNever});
  ASSERT_FAULT(reply, Fault::kUnavailable);
  EXPECT_NE(reply.error().context.find("may have been done"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 1u);
  reply = call({.repeat = Repeat::kNever});  // on another connection
  ASSERT_OK(reply);
  EXPECT_EQ(reply.value().number, 1);
}

TEST_F(RedisClientTest, WhatMayBeDoneTwiceIsSentOnceMore) {
  server_.answer("");
  server_.answer(":1\r\n");
  ASSERT_OK(call({.repeat = Repeat::kOnceMore}));
  EXPECT_EQ(server_.requests().size(), 2u);
  EXPECT_FAULT(call({.repeat = Repeat::kOnceMore}), Fault::kUnavailable);
  EXPECT_EQ(server_.requests().size(), 4u);
}

TEST_F(RedisClientTest, AConnectionIsUsedAgain) {
  for (int i = 1; i <= 3; i++) {
    server_.answer(":" + std::to_string(i) + "\r\n");
    auto reply = call({});
    ASSERT_OK(reply);
    EXPECT_EQ(reply.value().number, i);
  }
  EXPECT_EQ(server_.requests().back(), "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
}

TEST_F(RedisClientTest, ErrorsHaveTheirMeaning) {
  const std::pair<const char*, Fault> cases[] = {
      {"LOADING Redis is loading the dataset in memory", Fault::kUnavailable},
      {"READONLY You can't write against a read only replica.", Fault::kUnavailable},
      {"MISCONF Errors writing to the AOF file", Fault::kUnavailable},
      {"OOM command not allowed when used memory > 'maxmemory'.", Fault::kNoSpace},
      {"NOAUTH Authentication required.", Fault::kInvalid},
      {"NOPERM this user has no permissions", Fault::kInvalid},
      {"ERR The user executing the script can't run this command", Fault::kInvalid},
      {"MOVED 3999 127.0.0.1:6381", Fault::kUnsupported},
      {"OOMPH is no word of theirs", Fault::kIo},
  };
  for (const auto& [text, fault] : cases) {
    server_.answer("-" + std::string(text) + "\r\n");
    auto reply = call({});
    EXPECT_FAULT(reply, fault) << text;
    EXPECT_TRUE(reply.error().context.starts_with("redis://test: " + std::string(text)));
  }
  server_.answer("-ERR unknown command `INCR`, with args beginning with: `secret`\r\n");
  auto reply = call({});
  EXPECT_FAULT(reply, Fault::kIo);
  EXPECT_EQ(reply.error().context.find("secret"), std::string::npos);
}

TEST_F(RedisClientTest, WhatIsNoReplyIsALostConnection) {
  server_.answer("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_FAULT(call({}), Fault::kUnavailable);
  server_.answer(":1\r\n");
  EXPECT_OK(call({}));
}

// Nor is it asked for again.
TEST_F(RedisClientTest, AnAnswerHasABound) {
  server_.answer("$600000000\r\n" + std::string(size_t(80) << 20, 'x'));
  auto reply = call({.repeat = Repeat::kOnceMore});
  ASSERT_FAULT(reply, Fault::kTooLarge);
  EXPECT_EQ(reply.error().max, uint64_t(64) << 20);
  server_.answer(":1\r\n");
  EXPECT_OK(call({}));
}

TEST_F(RedisClientTest, AScriptThatTheServerForgotIsSentWhole) {
  server_.answer("-NOSCRIPT No matching script. Please use EVAL.\r\n");
  server_.answer("*1\r\n:7\r\n");
  const std::string_view keys[] = {"k"};
  const std::string_view arguments[] = {"a", ""};
  auto reply = client_.run({"return {7}", "0123"}, keys, arguments, {});
  ASSERT_OK(reply);
  ASSERT_EQ(reply.value().elements.size(), 1u);
  EXPECT_EQ(reply.value().elements[0].number, 7);
  ASSERT_EQ(server_.requests().size(), 2u);
  EXPECT_EQ(server_.requests()[0],
            "*6\r\n$7\r\nEVALSHA\r\n$4\r\n0123\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n$0\r\n\r\n");
  EXPECT_EQ(server_.requests()[1],
            "*6\r\n$4\r\nEVAL\r\n$10\r\nreturn {7}\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n$0\r\n\r\n");
}

TEST(RedisClientAlone, NobodyThere) {
  uint16_t port = 0;
  { port = ScriptedServer().port(); }
  RedisClient client({.name = "redis://test", .host = "127.0.0.1", .port = port});
  const std::string_view arguments[] = {"PING"};
  auto reply = client.call(arguments, {});
  ASSERT_FAULT(reply, Fault::kUnavailable);
  EXPECT_EQ(reply.error().context.find("may have been done"), std::string::npos);
}

TEST(RedisClientAlone, AServerThatDoesNotAnswer) {
  ScriptedServer server;
  server.answer(":");  // and no more
  RedisClient client({.name = "redis://test",
                      .host = "127.0.0.1",
                      .port = server.port(),
                      .timeout = std::chrono::milliseconds(50)});
  const std::string_view arguments[] = {"PING"};
  auto reply = client.call(arguments, {});
  ASSERT_FAULT(reply, Fault::kUnavailable);
  EXPECT_NE(reply.error().context.find("50 ms"), std::string::npos);
}

// Each byte comes in time, and the answer does not.
TEST(RedisClientAlone, AServerThatAnswersByteByByte) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t name_bytes = sizeof name;
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  ASSERT_EQ(::bind(listener, address, name_bytes), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, address, &name_bytes), 0);
  std::thread server([listener] {
    const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    while (::send(connection, ":", 1, MSG_NOSIGNAL) == 1) {
      while (::send(connection, "1", 1, MSG_NOSIGNAL) == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    ::close(connection);
  });
  const std::string_view arguments[] = {"PING"};
  const auto begin = std::chrono::steady_clock::now();
  {
    RedisClient client({.name = "redis://test",
                        .host = "127.0.0.1",
                        .port = ntohs(name.sin_port),
                        .timeout = std::chrono::milliseconds(100)});
    auto reply = client.call(arguments, {});
    ASSERT_FAULT(reply, Fault::kUnavailable);
    EXPECT_NE(reply.error().context.find("100 ms"), std::string::npos);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  server.join();
  ::close(listener);
}

}  // namespace
}  // namespace casdisk
