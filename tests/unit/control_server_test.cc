#include "nbd/control/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "nbd/control/served_disk.h"
#include "nbd/service.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;

// A store with the disk web, and a server of it in this process. `store_` is a command's.
class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    StoreOptions options;
    options.io = IoChoice::kPosix;
    options.ask_to_seal = [path = made_.path()](const std::string& disk, const LockHolder& holder,
                                                SealWhat what) {
      return ask_server_to_seal(path, disk, holder, what);
    };
    store_ = must(Store::open(made_.path(), options));
    must(create_disk(*store_, "web", {.size_bytes = 1 << 20}));
  }

  void serve() {
    ExportsOptions options;
    options.store_path = store_->path();
    options.store.io = IoChoice::kPosix;
    BackgroundSealOptions sealing;
    sealing.look_every = milliseconds(10);
    service_ = must(Service::start(options, sealing, access_));
    client_ = must(service_->exports().open_export("web"));
  }
  void stop() {
    client_.reset();
    service_.reset();
  }
  std::unique_ptr<ControlClient> connect() {
    auto client = must(server_of(*store_, "web"));
    EXPECT_NE(client, nullptr);
    return client;
  }
  Result<ControlAnswer> ask(ControlOperation operation, ControlRequest request = {}) {
    request.operation = operation;
    request.disk = "web";
    return connect()->call(request, no_progress);
  }
  ControlRequest named(const std::string& checkpoint) {
    ControlRequest request;
    request.checkpoint = checkpoint;
    request.wait = true;
    return request;
  }
  void write(char mark) {
    const Bytes bytes(4096, std::byte(mark));
    must(client_->volume_to_write().write(0, bytes));
  }
  std::byte first_byte(const std::string& checkpoint) {
    return contents(*must(CheckpointView::open(*store_, {"web", checkpoint})))[0];
  }
  std::filesystem::path socket_path() {
    for (const auto& entry : std::filesystem::directory_iterator(store_->path() + "/run")) {
      if (entry.path().extension() == ".control") return entry.path();
    }
    return "";
  }
  // A connection that speaks for itself; the greeting has been read.
  std::unique_ptr<ControlStream> raw() {
    auto stream = std::make_unique<ControlStream>(
        must(connect_to_control_socket(store_->path(), socket_path().filename())));
    EXPECT_TRUE(must(stream->read_line(milliseconds(5000))).has_value());
    return stream;
  }

  TestStore made_;
  AccessSettings access_ = access_settings(made_.path(), "");
  std::unique_ptr<Store> store_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Exports::Handle> client_;
};

TEST_F(ControlServerTest, CheckpointsForksRollsBackAndResizesALiveDisk) {
  serve();
  write('a');
  auto made = must(ask(ControlOperation::kCheckpoint, named("one")));
  EXPECT_EQ(made.checkpoint, "one");
  EXPECT_TRUE(made.id.has_value());
  write('b');
  ControlRequest fork;
  fork.new_disk = "copy";
  ASSERT_OK(ask(ControlOperation::kFork, fork));
  write('c');
  EXPECT_EQ(first_byte("one"), std::byte('a'));
  EXPECT_FAULT(ask(ControlOperation::kRollback, named("one")), Fault::kBusy);
  ControlRequest forced = named("one");
  forced.force = true;
  EXPECT_EQ(must(ask(ControlOperation::kRollback, forced)).client_count, 1u);
  EXPECT_EQ(contents(client_->volume())[0], std::byte('a'));
  ControlRequest larger;
  larger.size_bytes = 2 << 20;
  EXPECT_EQ(must(ask(ControlOperation::kResize, larger)).before_size_bytes, 1u << 20);
  EXPECT_EQ(client_->volume().size_bytes(), 2u << 20);
  EXPECT_EQ(contents(*must(service_->exports().open_export("copy"))->disk())[0], std::byte('b'));
  EXPECT_FAULT(ask(ControlOperation::kCheckpoint, named("one")), Fault::kExists);
  forced.checkpoint = "two";
  EXPECT_FAULT(ask(ControlOperation::kRollback, forced), Fault::kNotFound);
}

TEST_F(ControlServerTest, AnUnchangedDiskHasTheSameRootAndItsIdAtOnce) {
  serve();
  write('a');
  auto first = must(ask(ControlOperation::kCheckpoint, named("one")));
  ControlRequest again;
  again.checkpoint = "two";
  auto second = must(ask(ControlOperation::kCheckpoint, again));
  ASSERT_TRUE(second.id.has_value());
  EXPECT_EQ(must(store_->catalog().checkpoint(*first.id)).root,
            must(store_->catalog().checkpoint(*second.id)).root);
}

TEST_F(ControlServerTest, WhatIsNotWaitedForIsSealedInTheBackground) {
  serve();
  write('a');
  ControlRequest request;
  request.checkpoint = "one";
  must(ask(ControlOperation::kCheckpoint, request));
  EXPECT_EQ(first_byte("one"), std::byte('a'));  // asks for the seal, if it is not done
  const auto status = *must(ask(ControlOperation::kStatus)).status;
  EXPECT_TRUE(status.pending.empty());
  EXPECT_EQ(status.frozen_count, 0u);
  EXPECT_EQ(status.client_count, 1u);
  EXPECT_EQ(status.failure, "");
}

TEST_F(ControlServerTest, AGroupIsCutAtOneMomentOnceOverTheSocketAndOnceHere) {
  must(create_disk(*store_, "db", {.size_bytes = 1 << 20}));
  serve();
  write('a');
  auto db = made_.disk("db");
  std::vector<std::unique_ptr<CutMember>> members;
  members.push_back(std::make_unique<ServedCutMember>("web", connect()));
  members.push_back(std::make_unique<DiskCutMember>(db));
  ASSERT_OK(checkpoint_group(*store_, members, {"both", {}, {}}));
  write('b');
  must(db->seal(1, no_progress));
  EXPECT_EQ(first_byte("both"), std::byte('a'));
  const auto found = must(find_checkpoint(*store_, {"db", "both"}));
  EXPECT_EQ(found.record.labels, (Labels{{kGroupLabel, "both"}}));
}

TEST_F(ControlServerTest, HereWhenTheLeaseIsFreeAndThereWhenItIsNot) {
  auto where = [&] {
    std::string place;
    must(here_or_at_server(
        *store_, "web",
        [&]() -> Result<void> {
          TRY(Disk::open(*store_, "web", {}));
          place = "here";
          return {};
        },
        [&](std::unique_ptr<ControlClient>) -> Result<void> {
          place = "there";
          return {};
        }));
    return place;
  };
  EXPECT_EQ(where(), "here");
  serve();
  EXPECT_EQ(where(), "there");
  stop();
  EXPECT_EQ(where(), "here");
  auto other = made_.disk("web");  // a command: nobody to ask
  EXPECT_FAULT(here_or_at_server(
                   *store_, "web",
                   [&]() -> Result<void> {
                     return Error{Fault::kBusy, 0, ""};
                   },
                   [](std::unique_ptr<ControlClient>) -> Result<void> { return {}; }),
               Fault::kBusy);
}

TEST_F(ControlServerTest, StatsCountRequests) {
  serve();
  client_->counters().add(RequestKind::kWrite, 4096, milliseconds(3),
                          RequestCounters::Outcome::kDone);
  client_->counters().add(RequestKind::kWrite, 512, milliseconds(1),
                          RequestCounters::Outcome::kFailed);
  const auto stats = must(ask(ControlOperation::kStats)).stats;
  ASSERT_EQ(stats.size(), kRequestKindNames.size());
  EXPECT_EQ(stats[1].kind, "write");
  EXPECT_EQ(stats[1].count, 2u);
  EXPECT_EQ(stats[1].bytes, 4608u);
  EXPECT_EQ(stats[1].error_count, 1u);
  EXPECT_EQ(stats[1].longest_us, 3000u);
}

TEST_F(ControlServerTest, TheSocketIsOursAloneAndGoesWithItsServer) {
  serve();
  const auto path = socket_path();
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_TRUE(path.filename().string().starts_with(std::to_string(::getpid()) + "-"));
  stop();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ControlServerTest, SocketsOfServersThatDiedAreSwept) {
  serve();
  const auto dead = std::filesystem::path(store_->path()) / "run" / "1-0123456789abcdef.control";
  const auto other = std::filesystem::path(store_->path()) / "run" / "notes.txt";
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(dead.string().size(), sizeof(address.sun_path));
  std::strcpy(address.sun_path, dead.c_str());
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(descriptor);
  std::ofstream(other) << "mine";
  auto second = must(ControlSocket::listen(store_->path()));
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_OK(ask(ControlOperation::kStatus));
}

TEST_F(ControlServerTest, StoresWithLongPathsAreServedToo) {
  std::string path = store_->path();
  for (int i = 0; i < 3; i++) path += "/" + std::string(80, 'd');
  std::filesystem::create_directories(path);
  auto socket = must(ControlSocket::listen(path));
  const int descriptor = must(connect_to_control_socket(path, socket.name()));
  EXPECT_TRUE(is_owner_or_root(peer_of_unix_socket(descriptor)));
  ::close(descriptor);
}

TEST_F(ControlServerTest, NoNameInALeaseLeadsElsewhere) {
  for (auto name : {"../run/x.control", "/etc/x.control", "x.sock", "", "x.control"}) {
    EXPECT_FAULT(connect_to_control_socket(store_->path(), name), Fault::kNotFound) << name;
  }
}

TEST_F(ControlServerTest, WhatIsNoRequestEndsTheConnection) {
  serve();
  for (const std::string& line : {std::string("GET / HTTP/1.1"), std::string("{}"),
                                  std::string(kMaxControlLineBytes - 1, 'x')}) {
    auto stream = raw();
    ASSERT_OK(stream->send_line(line));
    const auto reply = must(decode_reply(*must(stream->read_line(milliseconds(5000)))));
    EXPECT_EQ(std::get<Error>(reply.content).fault, Fault::kInvalid);
    EXPECT_EQ(must(stream->read_line(milliseconds(5000))), std::nullopt);
  }
  auto stream = raw();
  EXPECT_FAULT(stream->send_line(std::string(kMaxControlLineBytes, 'x')), Fault::kInvalid);
  ASSERT_OK(stream->send_line(R"({"id":3,"do":"dance","disk":"web"})"));
  EXPECT_EQ(must(decode_reply(*must(stream->read_line(milliseconds(5000))))).id, 3u);
  ASSERT_OK(stream->send_line(R"({"id":4,"do":"flush","disk":"web"})"));
  EXPECT_OK(decode_reply(*must(stream->read_line(milliseconds(5000)))));
}

TEST_F(ControlServerTest, TooManyConnectionsAreToldSo) {
  serve();
  std::vector<std::unique_ptr<ControlStream>> streams;
  for (size_t i = 0; i < kMaxControlConnections; i++) streams.push_back(raw());
  EXPECT_FAULT(ask(ControlOperation::kStatus), Fault::kBusy);
  streams.clear();
  for (int tries = 0; tries < 100 && !ask(ControlOperation::kStatus).ok(); tries++) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_OK(ask(ControlOperation::kStatus));
}

// A group that is not recorded keeps what comes after its cut from being sealed, for seconds: long
// enough to be waited for.
TEST_F(ControlServerTest, ShutdownEndsWaits) {
  serve();
  write('a');
  auto member = std::make_unique<ServedCutMember>("web", connect());
  ASSERT_OK(member->prepare());
  ASSERT_OK(member->hold(milliseconds(50)));
  ASSERT_OK(member->cut());
  ASSERT_OK(member->flush());
  write('b');
  std::thread waiter([&] {
    ControlRequest request;
    request.wait = true;
    EXPECT_FALSE(ask(ControlOperation::kSeal, request).ok());
  });
  std::this_thread::sleep_for(milliseconds(100));
  const auto begin = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1000));
  waiter.join();
  EXPECT_EQ(contents(*made_.disk("web"))[0], std::byte('b'));
}

}  // namespace
}  // namespace casdisk
