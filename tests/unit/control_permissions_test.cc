#include "nbd/control/control_permissions.h"

#include <cerrno>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

constexpr ControlOperation kFirst = ControlOperation::kStatus, kLast = ControlOperation::kRelease;

Permit permit_of(const std::vector<std::string>& grants) {
  Principal principal;
  principal.user = "bob";
  for (const std::string& text : grants) {
    auto grant = parse_grant(text);
    EXPECT_OK(grant);
    if (grant.ok()) principal.grants.push_back(std::move(grant).value());
  }
  return Permit::of(std::move(principal));
}

ControlRequest request_of(ControlOperation operation, const std::string& disk) {
  ControlRequest request = request_for(disk, operation);
  request.new_disk = "copy";
  return request;
}

enum class Verdict { kAllowed, kDenied, kMissing, kOther };

Verdict verdict_of(const Result<void>& outcome) {
  if (outcome.ok()) return Verdict::kAllowed;
  const Error& error = outcome.error();
  if (error.fault == Fault::kInvalid && error.os_error == EPERM) return Verdict::kDenied;
  return error.fault == Fault::kNotFound ? Verdict::kMissing : Verdict::kOther;
}

// "status stats ...": the operations with that outcome, in their order.
std::string operations_with(Verdict wanted, const Permit& permit, const std::string& disk = "web") {
  std::string names;
  for (int i = int(kFirst); i <= int(kLast); i++) {
    const ControlRequest request = request_of(ControlOperation(i), disk);
    if (verdict_of(judge(permit, request)) != wanted) continue;
    names += (names.empty() ? "" : " ") + std::string(operation_name(request.operation));
  }
  return names;
}

constexpr const char* kAll =
    "status stats checkpoint fork seal flush rollback resize detach begin_session prepare hold cut "
    "flush_cut reload release";
// No grant allows the rest.
constexpr const char* kOfAdmin = "status stats checkpoint fork seal flush rollback resize detach";
constexpr const char* kOfCheckpoint = "checkpoint seal flush";
constexpr const char* kOfOwner = "begin_session prepare hold cut flush_cut reload release";

struct Row {
  std::vector<std::string> grants;
  std::string allowed;
  std::string denied;
  std::string missing;
};

// Principal by operation, on the disk web; a fork is named copy.
TEST(ControlPermissions, TheTable) {
  const std::string all = kAll, checkpoint = kOfCheckpoint, owner = kOfOwner;
  const Row rows[] = {
      {{}, "", "", all},
      {{"admin:other", "read:we"}, "", "", all},
      {{"read:web"},
       "status stats",
       "checkpoint fork seal flush rollback resize detach " + owner,
       ""},
      {{"write:w*"},
       "status stats",
       "checkpoint fork seal flush rollback resize detach " + owner,
       ""},
      {{"checkpoint:web"}, checkpoint, "", "status stats fork rollback resize detach " + owner},
      // Else the fork would show what may not be read.
      {{"checkpoint:web", "admin:cop?"},
       checkpoint,
       "",
       "status stats fork rollback resize detach " + owner},
      {{"read,checkpoint:web", "admin:cop?"},
       "status stats checkpoint fork seal flush",
       "rollback resize detach " + owner,
       ""},
      {{"read,checkpoint:web"},
       "status stats " + checkpoint,
       "fork rollback resize detach " + owner,
       ""},
      {{"admin:web"},
       "status stats checkpoint seal flush rollback resize detach",
       "fork " + owner,
       ""},
      {{"admin:*"}, kOfAdmin, owner, ""},
  };
  for (const Row& row : rows) {
    const Permit permit = permit_of(row.grants);
    const std::string first = row.grants.empty() ? "none" : row.grants[0];
    EXPECT_EQ(operations_with(Verdict::kAllowed, permit), row.allowed) << first;
    EXPECT_EQ(operations_with(Verdict::kDenied, permit), row.denied) << first;
    EXPECT_EQ(operations_with(Verdict::kMissing, permit), row.missing) << first;
  }
}

TEST(ControlPermissions, EverythingAndNothing) {
  EXPECT_EQ(operations_with(Verdict::kAllowed, Permit::everything("uid 0")), kAll);
  EXPECT_EQ(operations_with(Verdict::kMissing, Permit::nothing("uid 7")), kAll);
}

// Who has attached something could learn which chunks are there.
TEST(ControlPermissions, AttachmentsAreTheOwners) {
  ControlRequest request = request_of(ControlOperation::kCheckpoint, "web");
  request.attachments.push_back({"notes", 1, {}});
  EXPECT_EQ(verdict_of(judge(permit_of({"admin:*"}), request)), Verdict::kDenied);
  EXPECT_EQ(verdict_of(judge(permit_of({"checkpoint:*"}), request)), Verdict::kMissing);
  EXPECT_EQ(verdict_of(judge(Permit::everything("uid 0"), request)), Verdict::kAllowed);
}

TEST(ControlPermissions, ATokenOnlyNarrowsItsUser) {
  Principal principal;
  principal.user = "bob";
  principal.token_id = "0123";
  principal.grants = {Grant{uint8_t(Scope::kRead) | uint8_t(Scope::kCheckpoint), "web"}};
  principal.token_grants = {Grant{kAllScopes, "*"}};
  EXPECT_EQ(operations_with(Verdict::kAllowed, Permit::of(principal)),
            "status stats " + std::string(kOfCheckpoint));
  principal.token_grants = {Grant{uint8_t(Scope::kRead), "web"}};
  EXPECT_EQ(operations_with(Verdict::kAllowed, Permit::of(principal)), "status stats");
}

// Who may read learns what is missing; anybody else what a disk that is not there would say.
TEST(ControlPermissions, WordsOfARefusal) {
  auto denied = judge(permit_of({"read:web"}), request_of(ControlOperation::kRollback, "web"));
  ASSERT_FAULT(denied, Fault::kInvalid);
  EXPECT_NE(denied.error().context.find("rollback of disk web"), std::string::npos)
      << denied.error().context;
  EXPECT_NE(denied.error().context.find("admin:web"), std::string::npos) << denied.error().context;
  EXPECT_NE(denied.error().context.find("user bob"), std::string::npos) << denied.error().context;
  auto hidden = judge(permit_of({"read:web"}), request_of(ControlOperation::kStatus, "secret"));
  ASSERT_FAULT(hidden, Fault::kNotFound);
  EXPECT_EQ(hidden.error().context, "no disk named secret; `casdisk ls` lists them");
  EXPECT_EQ(hidden.error().os_error, 0);
}

}  // namespace
}  // namespace casdisk
