#include "nbd/control/control_protocol.h"

#include <cerrno>
#include <random>

#include "tests/support/result_assertions.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

ControlRequest full_checkpoint() {
  ControlRequest request;
  request.id = 7;
  request.operation = ControlOperation::kCheckpoint;
  request.disk = "web";
  request.checkpoint = "monday";
  request.wait = true;
  request.token = "cdt_secret";
  request.labels = {{"owner", "ops"}, {"why", "before \"upgrade\"\n"}};
  request.attachments = {{"vmstate", 12345, Entry::of(hash_of({}))}, {"empty", 1, Entry::zero()}};
  return request;
}

// The lines of docs/CONTROL.md.
TEST(ControlProtocol, GoldenLines) {
  EXPECT_EQ(encode(ControlGreeting{1, 4711}), R"({"casdisk":"control","version":1,"pid":4711})");
  ControlRequest request;
  request.id = 1;
  request.operation = ControlOperation::kCheckpoint;
  request.disk = "web";
  request.checkpoint = "monday";
  EXPECT_EQ(encode(request), R"({"id":1,"do":"checkpoint","disk":"web","checkpoint":"monday"})");
  EXPECT_EQ(encode(ControlReply{1, ControlProgress{65536}}),
            R"({"id":1,"progress":{"sealed_bytes":65536}})");
  ControlAnswer answer;
  answer.checkpoint = "monday";
  EXPECT_EQ(encode(ControlReply{1, answer}), R"({"id":1,"ok":{"checkpoint":"monday"}})");
  EXPECT_EQ(encode(ControlReply{2, Error{Fault::kBusy, 0, "disk web has 2 clients attached"}}),
            R"({"id":2,"error":{"fault":"busy","message":"disk web has 2 clients attached"}})");
}

TEST(ControlProtocol, RequestsComeBackAsTheyWere) {
  const ControlRequest sent = full_checkpoint();
  const ControlRequest got = must(decode_request(encode(sent)));
  EXPECT_EQ(got.id, sent.id);
  EXPECT_EQ(got.operation, sent.operation);
  EXPECT_EQ(got.disk, sent.disk);
  EXPECT_EQ(got.token, sent.token);
  EXPECT_EQ(got.checkpoint, sent.checkpoint);
  EXPECT_EQ(got.labels, sent.labels);
  EXPECT_EQ(got.attachments, sent.attachments);
  EXPECT_TRUE(got.wait);
  EXPECT_FALSE(got.force);
}

TEST(ControlProtocol, EveryOperationHasAName) {
  for (int i = 0; i <= int(ControlOperation::kRelease); i++) {
    ControlRequest request;
    request.operation = ControlOperation(i);
    request.disk = "web";
    request.checkpoint = request.new_disk = "x";
    request.size_bytes = 5;
    EXPECT_EQ(must(decode_request(encode(request))).operation, request.operation) << i;
  }
}

TEST(ControlProtocol, AnswersComeBackAsTheyWere) {
  ControlAnswer answer;
  answer.id = hash_of({});
  answer.generation = 9;
  answer.before_size_bytes = 0;
  answer.status = DiskStatus{};
  answer.status->pending = {"a", "b"};
  answer.status->failure = "no space";
  answer.stats = {{"read", 1, 2, 3, 4}};
  const ControlReply got = must(decode_reply(encode(ControlReply{3, answer})));
  const auto& back = std::get<ControlAnswer>(got.content);
  EXPECT_EQ(got.id, 3u);
  EXPECT_EQ(back.id, answer.id);
  EXPECT_EQ(back.generation, 9u);
  EXPECT_EQ(back.before_size_bytes, 0u);
  EXPECT_EQ(back.size_bytes, std::nullopt);
  EXPECT_EQ(back.status->pending, answer.status->pending);
  EXPECT_EQ(back.status->failure, "no space");
  EXPECT_EQ(back.stats.at(0).longest_us, 4u);
}

TEST(ControlProtocol, ErrorsKeepTheirFault) {
  for (int fault = 0; fault <= int(Fault::kUnavailable); fault++) {
    const ControlReply sent{1, Error{Fault(fault), 0, "why"}};
    EXPECT_EQ(std::get<Error>(must(decode_reply(encode(sent))).content).fault, Fault(fault));
  }
  const auto denied = encode(ControlReply{1, Error{Fault::kInvalid, EPERM, "rollback"}});
  EXPECT_NE(denied.find(R"("fault":"denied")"), std::string::npos) << denied;
  EXPECT_EQ(std::get<Error>(must(decode_reply(denied)).content).fault, Fault::kInvalid);
  const auto later = must(decode_reply(R"({"id":1,"error":{"fault":"of version 2"}})"));
  EXPECT_EQ(std::get<Error>(later.content).fault, Fault::kIo);
}

TEST(ControlProtocol, WhatIsUnknownIsPassedOver) {
  const auto request = decode_request(R"({"id":1,"do":"flush","disk":"web","later":[{}]})");
  EXPECT_OK(request);
}

TEST(ControlProtocol, WrongRequestsAreToldApart) {
  EXPECT_FAULT(decode_request(R"({"id":1,"do":"dance","disk":"web"})"), Fault::kUnsupported);
  for (
      const char* line : {
          R"({"id":1,"do":"flush","disk":7})",
          R"({"id":1,"do":"flush","disk":"../web"})",
          R"({"id":1,"do":"flush"})",
          R"({"id":1,"do":"flush","disk":"web","token":7})",
          R"({"id":1,"do":"checkpoint","disk":"web"})",
          R"({"id":1,"do":"fork","disk":"web"})",
          R"({"id":1,"do":"resize","disk":"web"})",
          R"({"id":1,"do":"resize","disk":"web","size_bytes":-1})",
          R"({"id":1,"do":"resize","disk":"web","size_bytes":1.5})",
          R"({"id":1,"do":"seal","disk":"web","what":"some"})",
          R"({"id":1,"do":"seal","disk":"web","wait":"yes"})",
          R"({"id":1,"do":"checkpoint","disk":"web","checkpoint":"a","labels":{"k":1}})",
          R"({"id":1,"do":"checkpoint","disk":"web","checkpoint":"a","attachments":[{"name":"x","root":"y"}]})",
      }) {
    EXPECT_FAULT(decode_request(line), Fault::kInvalid) << line;
    EXPECT_EQ(request_id(line), 1u) << line;
  }
  for (const char* line : {"", "{", "[]", "7", "null", "\"id\"", "{}", R"({"id":1})",
                           R"({"id":-1,"do":"flush"})", R"({"id":"1","do":"flush"})", "\xff"}) {
    EXPECT_EQ(request_id(line), std::nullopt) << line;
  }
}

// Whatever bytes come: a value or an error, and nothing worse.
TEST(ControlProtocol, DecodersTakeAnyBytes) {
  std::mt19937 random(1);
  const std::string good[] = {encode(full_checkpoint()), encode(ControlGreeting{1, 1}),
                              encode(ControlReply{1, ControlProgress{1}}),
                              encode(ControlReply{1, Error{Fault::kIo, 0, "x"}})};
  for (int round = 0; round < 1000; round++) {
    std::string line = good[random() % std::size(good)];
    for (unsigned edits = 1 + random() % 4; edits > 0 && !line.empty(); edits--) {
      const size_t at = random() % line.size();
      switch (random() % 4) {
        case 0:
          line[at] = char(random());
          break;
        case 1:
          line.erase(at, 1 + random() % 8);
          break;
        case 2:
          line.insert(at, line.substr(random() % line.size(), random() % 16));
          break;
        default:
          line[at] = "{}[]\":,0-"[random() % 9];
      }
    }
    auto request = decode_request(line);
    if (request.ok()) {
      EXPECT_OK(decode_request(encode(request.value())));
    }
    (void)request_id(line);
    (void)decode_greeting(line).ok();
    auto reply = decode_reply(line);
    if (reply.ok()) {
      EXPECT_OK(decode_reply(encode(reply.value())));
    }
  }
  EXPECT_FAULT(decode_request(std::string(kMaxControlLineBytes, '[')), Fault::kInvalid);
}

}  // namespace
}  // namespace casdisk
