#include "remotes/kv/etcd_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"
#include "tests/support/scripted_server.h"

namespace casdisk {
namespace {

using Repeat = EtcdClient::Repeat;

std::string http(int status, const std::string& body) {
  return fmt::format("HTTP/1.1 {} Any\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body);
}

std::string refusal(int code, const std::string& text) {
  return http(code == kEtcdUnavailable ? 503 : 400,
              fmt::format(R"({{"error":"{}","code":{}}})", text, code));
}

EtcdAddress address_of(std::initializer_list<const ScriptedServer*> servers) {
  EtcdAddress address{.name = "etcd://test"};
  for (const ScriptedServer* server : servers) {
    address.members.push_back({"127.0.0.1", server->port()});
  }
  return address;
}

TEST(EtcdClient, AConnectionIsUsedAgain) {
  ScriptedServer server;
  EtcdClient client(address_of({&server}));
  for (int i = 0; i < 3; i++) {
    server.answer(http(200, std::to_string(i)));
    auto answer = client.call("kv/txn", "{}", Repeat::kNever);
    ASSERT_OK(answer);
    EXPECT_EQ(answer.value(), std::to_string(i));
  }
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_TRUE(requests[0].starts_with("POST /v3/kv/txn HTTP/1.1\r\n"));
  EXPECT_TRUE(requests[0].ends_with("\r\n\r\n{}"));
}

// On a kept connection that breaks, libcurl alone would send it again.
TEST(EtcdClient, AWriteThatMayHaveBeenDoneIsNotSentAgain) {
  for (const bool is_kept : {false, true}) {
    ScriptedServer server;
    ScriptedServer other;
    EtcdClient client(address_of({&server, &other}));
    if (is_kept) {
      server.answer(http(200, "{}"));
      ASSERT_OK(client.call("kv/range", "{}", Repeat::kOnceMore));
    }
    const size_t before = server.requests().size();
    server.answer("");
    auto answer = client.call("kv/txn", "{}", Repeat::kNever);
    ASSERT_FAULT(answer, Fault::kUnavailable);
    EXPECT_NE(answer.error().context.find("may have been done"), std::string::npos);
    EXPECT_EQ(server.requests().size(), before + 1);
    EXPECT_TRUE(other.requests().empty());
    other.answer(http(200, "{}"));
    EXPECT_OK(client.call("kv/txn", "{}", Repeat::kNever));  // the next call asks another member
    EXPECT_EQ(other.requests().size(), 1u);
  }
}

TEST(EtcdClient, AReadGoesToTheNextMember) {
  ScriptedServer first;
  ScriptedServer second;
  EtcdClient client(address_of({&first, &second}));
  first.answer("");
  second.answer(http(200, "{}"));
  EXPECT_OK(client.call("kv/range", "{}", Repeat::kOnceMore));
  second.answer(refusal(kEtcdUnavailable, "etcdserver: no leader"));
  first.answer(http(200, "{}"));
  EXPECT_OK(client.call("kv/range", "{}", Repeat::kOnceMore));
  EXPECT_EQ(first.requests().size(), 2u);
  EXPECT_EQ(second.requests().size(), 2u);
  first.answer(refusal(13, "unexpected EOF"));
  second.answer(http(200, "{}"));
  EXPECT_OK(client.call("kv/range", "{}", Repeat::kOnceMore));
  // With one member: to that one, which may have restarted under a kept connection.
  EtcdClient alone(address_of({&first}));
  first.answer("");
  first.answer(http(200, "{}"));
  EXPECT_OK(alone.call("kv/range", "{}", Repeat::kOnceMore));
}

TEST(EtcdClient, WhereNobodyListensEvenAWriteGoesOn) {
  EtcdAddress address{.name = "etcd://test"};
  {
    ScriptedServer gone;
    address.members.push_back({"127.0.0.1", gone.port()});
  }
  ScriptedServer server;
  address.members.push_back({"127.0.0.1", server.port()});
  EtcdClient client(address);
  server.answer(http(200, "{}"));
  EXPECT_OK(client.call("kv/txn", "{}", Repeat::kNever));
  address.members.pop_back();
  EtcdClient nobody(address);
  auto answer = nobody.call("kv/txn", "{}", Repeat::kNever);
  ASSERT_FAULT(answer, Fault::kUnavailable);
  EXPECT_EQ(answer.error().context.find("may have been done"), std::string::npos);
}

TEST(EtcdClient, RefusalsHaveTheirMeaning) {
  ScriptedServer server;
  EtcdClient client(address_of({&server}));
  const std::tuple<int, const char*, Fault> cases[] = {
      {kEtcdUnavailable, "etcdserver: request timed out", Fault::kUnavailable},
      {8, "etcdserver: too many requests", Fault::kUnavailable},
      {13, "unexpected EOF", Fault::kUnavailable},
      {13, "something is very broken", Fault::kIo},
      {8, "etcdserver: mvcc: database space exceeded", Fault::kNoSpace},
      {3, "etcdserver: request is too large", Fault::kTooLarge},
      {3, "etcdserver: too many operations in txn request", Fault::kTooLarge},
      {3, "etcdserver: user name is empty", Fault::kInvalid},
      {3, "etcdserver: something else", Fault::kIo},
  };
  for (const auto& [code, text, fault] : cases) {
    server.answer(refusal(code, text));
    auto answer = client.call("kv/txn", "{}", Repeat::kNever);
    ASSERT_FAULT(answer, fault) << text;
    EXPECT_TRUE(answer.error().context.starts_with("etcd://test: " + std::string(text)));
  }
  server.answer(http(404, "Not Found"));
  EXPECT_FAULT(client.call("kv/txn", "{}", Repeat::kNever), Fault::kIo);
}

TEST(EtcdClient, AnswersHaveABound) {
  ScriptedServer server;
  EtcdClient client(address_of({&server}));
  server.answer(http(200, std::string(kMaxEtcdAnswerBytes, ' ')));
  EXPECT_OK(client.call("kv/range", "{}", Repeat::kOnceMore));
  server.answer(http(200, std::string(kMaxEtcdAnswerBytes + 1, ' ')));
  auto answer = client.call("kv/range", "{}", Repeat::kOnceMore);
  ASSERT_FAULT(answer, Fault::kTooLarge);
  EXPECT_EQ(answer.error().max, kMaxEtcdAnswerBytes);
}

TEST(EtcdClient, AServerThatDoesNotAnswer) {
  ScriptedServer server;
  EtcdAddress address = address_of({&server});
  address.timeout = std::chrono::milliseconds(50);
  EtcdClient client(address);
  server.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_FAULT(client.call("kv/txn", "{}", Repeat::kNever), Fault::kUnavailable);
}

}  // namespace
}  // namespace casdisk
