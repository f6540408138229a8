// What a guarded store's server does for those who have no key to the store itself.
#include <sys/stat.h>

#include <filesystem>

#include "index/lineage.h"
#include "nbd/auth/tokens.h"
#include "nbd/auth/users.h"
#include "nbd/control/served_disk.h"
#include "nbd/service.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

namespace fs = std::filesystem;

// A store with the disks web and db and the user bob, and a server of it in this process.
class ControlGuestsTest : public testing::Test {
 protected:
  ControlGuestsTest() {
    must(create_disk(*store_, "web", {.size_bytes = 1 << 20}));
    must(create_disk(*store_, "db", {.size_bytes = 1 << 20}));
    records_ = must(AccessStore::open(access_, AccessStore::MayCreate::kYes));
    must(
        Users(records_, "the test").add({.name = "bob", .grants = {must(parse_grant("admin:*"))}}));
  }

  void serve(std::optional<VolumeName> only = VolumeName{"web", ""}) {
    ExportsOptions options;
    options.store_path = store_.path();
    options.store.io = IoChoice::kPosix;
    options.only = std::move(only);
    service_ = must(Service::start(options, {}, access_));
  }
  std::string token(const std::string& grant) {
    return must(Tokens(records_, "the test")
                    .add({.user = "bob", .grants = {must(parse_grant(grant))}}))
        .text;
  }
  // With a token the owner is who the token says.
  Result<ControlAnswer> ask(ControlOperation operation, const std::string& disk,
                            const std::string& token) {
    auto client = must(server_of(*store_, "web"));
    ControlRequest request = request_for(disk, operation);
    request.token = token;
    request.checkpoint = "one";
    return client->call(request, no_progress);
  }
  unsigned mode_of(const fs::path& path) {
    struct stat status;
    return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }

  TestStore store_;
  AccessSettings access_ = access_settings(store_.path(), "");
  std::shared_ptr<AccessStore> records_;
  std::unique_ptr<Service> service_;
};

TEST_F(ControlGuestsTest, EverybodyReachesTheSocketAndNobodyListsTheRest) {
  const fs::path run = fs::path(store_.path()) / "run";
  serve();
  EXPECT_EQ(mode_of(run), 0711u);
  const fs::path socket = run / fs::read_symlink(run / "web.control");
  EXPECT_EQ(mode_of(socket), 0666u);
  service_.reset();
  EXPECT_TRUE(fs::is_empty(run));
  serve(std::nullopt);
  EXPECT_TRUE(fs::is_symlink(run / "_all.control"));
}

TEST_F(ControlGuestsTest, AScopeAllowsItsOperations) {
  serve();
  const std::string read = token("read:web"), checkpoint = token("read,checkpoint:w*");
  EXPECT_OK(ask(ControlOperation::kStatus, "web", read));
  auto denied = ask(ControlOperation::kCheckpoint, "web", read);
  ASSERT_FAULT(denied, Fault::kInvalid);
  EXPECT_NE(denied.error().context.find("checkpoint:web"), std::string::npos)
      << denied.error().context;
  EXPECT_OK(ask(ControlOperation::kCheckpoint, "web", checkpoint));
  EXPECT_FAULT(ask(ControlOperation::kRollback, "web", checkpoint), Fault::kInvalid);
  EXPECT_OK(ask(ControlOperation::kRollback, "web", token("admin:web")));
  EXPECT_OK(ask(ControlOperation::kRollback, "web", ""));  // the owner
}

TEST_F(ControlGuestsTest, WhatOneMayNotReadDoesNotExist) {
  serve();
  const std::string web = token("admin:web");
  const std::string wrong = "cdt_" + std::string(32, '1') + "_" + std::string(64, '2');
  auto words = [&](const std::string& disk, const std::string& token) {
    auto refused = ask(ControlOperation::kStatus, disk, token);
    EXPECT_FAULT(refused, Fault::kNotFound) << disk;
    return refused.ok() ? "" : refused.error().context;
  };
  EXPECT_EQ(words("db", web), "no disk named db; `casdisk ls` lists them");
  EXPECT_EQ(words("nope", web), "no disk named nope; `casdisk ls` lists them");
  EXPECT_EQ(words("web", wrong), "no disk named web; `casdisk ls` lists them");
  EXPECT_EQ(words("web", "junk"), "no disk named web; `casdisk ls` lists them");
  // Who may read everything learns what this server has, and not under which name.
  EXPECT_EQ(words("db", token("read:*")).find("web"), std::string::npos);
}

TEST_F(ControlGuestsTest, ARevokedTokenEndsWithinItsConnection) {
  serve();
  auto client = must(server_of(*store_, "web"));
  const auto issued = must(Tokens(records_, "the test").add({.user = "bob"}));
  ControlRequest request = request_for("web", ControlOperation::kStatus);
  request.token = issued.text;
  EXPECT_OK(client->call(request, no_progress));
  must(Tokens(records_, "the test").revoke(issued.record.id));
  EXPECT_FAULT(client->call(request, no_progress), Fault::kNotFound);
}

}  // namespace
}  // namespace casdisk
