#include "nbd/auth/client_exports.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "index/lineage.h"
#include "nbd/auth/audit_trail.h"
#include "nbd/auth/psk_refresh.h"
#include "nbd/auth/tokens.h"
#include "nbd/auth/users.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kHourMs = 3600 * 1000;
constexpr uint32_t kStranger = 4000000001, kReader = 4000000002, kWriter = 4000000003,
                   kCheckpointer = 4000000004, kDisabled = 4000000005;

Peer with_uid(uint32_t uid) { return {uid, ""}; }
Peer over_tcp() { return {std::nullopt, "192.0.2.7"}; }
Peer owner() { return with_uid(::geteuid()); }

std::vector<Grant> grants(const std::string& text) { return {must(parse_grant(text))}; }

// A store with the disks web (and its checkpoint monday) and other, and a server of them.
class ClientExportsTest : public testing::Test {
 protected:
  ClientExportsTest() {
    must(create_disk(*store_, "web", {.size_bytes = 1 << 20}));
    must(create_disk(*store_, "other", {.size_bytes = 1 << 20}));
    must(checkpoint_disk(*store_, "web", {"monday", {}, {}}, 1, no_progress));
  }
  std::unique_ptr<Exports> open_exports() {
    ExportsOptions options;
    options.store_path = store_.path();
    options.store.io = IoChoice::kPosix;
    return must(Exports::open(options));
  }
  AccessSettings settings_with_our_clock() {
    AccessSettings settings = access_settings(store_.path(), "");
    settings.clock = [this] { return system_kv_clock() + ahead_ms_; };
    return settings;
  }

  std::shared_ptr<AccessStore> records() {
    return must(AccessStore::open(settings_, AccessStore::MayCreate::kYes));
  }
  Users users() { return Users(records(), "the test"); }
  Tokens tokens() { return Tokens(records(), "the test"); }
  void add_user(const std::string& name, std::optional<uint32_t> uid, const std::string& grant) {
    must(users().add({.name = name, .uid = uid, .grants = grants(grant)}));
  }
  IssuedToken add_token(const std::string& user, const std::string& grant,
                        uint64_t lifetime_ms = 0) {
    return must(tokens().add({.user = user, .grants = grants(grant), .lifetime_ms = lifetime_ms}));
  }
  // "rw", "ro", "-" as for a disk that does not exist, or what went wrong.
  std::string outcome(const Peer& peer, const std::string& name) {
    auto opened = clients_.open(peer, name);
    if (opened.ok()) return opened.value()->may_write() ? "rw" : "ro";
    const Error& error = opened.error();
    return error.fault == Fault::kNotFound ? "-" : describe(error);
  }
  // Of web, web@monday and other, with the token behind them if there is one.
  std::string outcomes(const Peer& peer, const std::string& token = "") {
    const std::string end = token.empty() ? "" : "@" + token;
    return outcome(peer, "web" + end) + " " + outcome(peer, "web@monday" + end) + " " +
           outcome(peer, "other" + end);
  }
  std::vector<std::string> listed(const Peer& peer) {
    std::vector<std::string> names;
    for (const auto& line : must(clients_.list(peer))) names.push_back(line.name);
    return names;
  }

  TestStore store_;
  uint64_t ahead_ms_ = 0;
  AccessSettings settings_ = settings_with_our_clock();
  std::string log_;
  std::unique_ptr<Exports> exports_ = open_exports();
  Guard guard_{settings_, [this](const std::string& line) { log_ += line + "\n"; }};
  ClientExports clients_{*exports_, guard_};
};

TEST_F(ClientExportsTest, WithoutUsersEverythingIsForEverybody) {
  for (const Peer& peer : {owner(), with_uid(kStranger), over_tcp()}) {
    EXPECT_EQ(outcomes(peer), "rw ro rw") << peer_text(peer);
    EXPECT_EQ(listed(peer).size(), 3u) << peer_text(peer);
  }
  EXPECT_EQ(log_, "");
}

// Nobody can check it, so it opens nothing; and it is not printed as a checkpoint's name.
TEST_F(ClientExportsTest, WithoutUsersATokenOpensNothing) {
  const std::string token = "cdt_" + std::string(32, '1') + "_" + std::string(64, '2');
  auto opened = clients_.open(owner(), "web@" + token);
  ASSERT_FAULT(opened, Fault::kNotFound);
  EXPECT_EQ(opened.error().context.find("cdt_"), std::string::npos);
  EXPECT_EQ(log_.find("cdt_"), std::string::npos);
}

TEST_F(ClientExportsTest, UsersByTheirUid) {
  add_user("reader", kReader, "read:web");
  add_user("writer", kWriter, "write:*");
  add_user("checkpointer", kCheckpointer, "checkpoint:*");
  add_user("gone", kDisabled, "admin:*");
  must(users().change("gone", "disable", [](UserRecord& record) -> Result<void> {
    record.is_disabled = true;
    return {};
  }));
  EXPECT_EQ(outcomes(owner()), "rw ro rw");
  EXPECT_EQ(outcomes(with_uid(0)), "rw ro rw");
  EXPECT_EQ(outcomes(with_uid(kReader)), "ro ro -");
  EXPECT_EQ(outcomes(with_uid(kWriter)), "rw ro rw");
  EXPECT_EQ(outcomes(with_uid(kCheckpointer)), "- - -");
  EXPECT_EQ(outcomes(with_uid(kDisabled)), "- - -");
  EXPECT_EQ(outcomes(with_uid(kStranger)), "- - -");
  EXPECT_EQ(outcomes(over_tcp()), "- - -");
  EXPECT_EQ(outcomes({}), "- - -");
}

TEST_F(ClientExportsTest, TokensFromWhereverTheyCome) {
  add_user("reader", kReader, "read:web");
  add_user("writer", kWriter, "write:*");
  const auto read = add_token("writer", "read:*"), write = add_token("writer", "write:web");
  const auto more_than_its_user = add_token("reader", "admin:*");
  for (const Peer& peer : {owner(), with_uid(kStranger), over_tcp()}) {
    EXPECT_EQ(outcomes(peer, read.text), "ro ro ro") << peer_text(peer);
    EXPECT_EQ(outcomes(peer, write.text), "rw ro -") << peer_text(peer);
    EXPECT_EQ(outcomes(peer, more_than_its_user.text), "ro ro -") << peer_text(peer);
  }
}

// It never falls back to who the client is, owner and root included.
TEST_F(ClientExportsTest, ATokenThatIsNotValidOpensNothing) {
  add_user("writer", kWriter, "write:*");
  const auto expiring = add_token("writer", "write:*", kHourMs);
  const auto revoked = add_token("writer", "write:*"), rotated = add_token("writer", "write:*");
  const auto good = add_token("writer", "write:*");
  std::string wrong = good.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const auto* token : {&expiring, &revoked, &rotated, &good}) {
    EXPECT_EQ(outcome(over_tcp(), "web@" + token->text), "rw");
  }
  ahead_ms_ = 2 * kHourMs;
  must(tokens().revoke(revoked.record.id));
  const auto fresh = must(tokens().rotate(rotated.record.id));
  for (const std::string& token :
       {expiring.text, revoked.text, rotated.text, wrong, std::string("cdt_"),
        good.text.substr(0, good.text.size() - 1), good.text + "0"}) {
    for (const Peer& peer : {owner(), with_uid(kWriter), over_tcp()}) {
      EXPECT_EQ(outcome(peer, "web@" + token), "-") << peer_text(peer);
    }
  }
  EXPECT_EQ(outcome(over_tcp(), "web@" + fresh.text), "rw");
  EXPECT_EQ(outcome(over_tcp(), "web@" + good.text), "rw");
}

TEST_F(ClientExportsTest, ARefusalIsWordForWordADiskThatIsNotThere) {
  add_user("reader", kReader, "read:web");
  auto words = [&](const Peer& peer, const std::string& name) {
    auto opened = clients_.open(peer, name);
    EXPECT_FALSE(opened.ok()) << name;
    return opened.ok() ? "" : describe(opened.error());
  };
  EXPECT_EQ(words(owner(), "nope"), "no disk named nope; `casdisk ls` lists them");
  EXPECT_EQ(words(with_uid(kReader), "nope"), "no disk named nope; `casdisk ls` lists them");
  EXPECT_EQ(words(with_uid(kReader), "other"), "no disk named other; `casdisk ls` lists them");
  EXPECT_EQ(words(with_uid(kReader), "other@nope"), words(with_uid(kReader), "other"));
  EXPECT_EQ(words(with_uid(kStranger), "web@monday"), "no disk named web; `casdisk ls` lists them");
  EXPECT_EQ(words(with_uid(kStranger), ""), words(over_tcp(), "@cdt_wrong"));
}

TEST_F(ClientExportsTest, ListsAndTheDefaultShowWhatMayBeRead) {
  add_user("reader", kReader, "read:web");
  const auto token = add_token("reader", "read:web");
  EXPECT_EQ(listed(owner()), (std::vector<std::string>{"other", "web", "web@monday"}));
  EXPECT_EQ(listed(with_uid(kReader)), (std::vector<std::string>{"web", "web@monday"}));
  EXPECT_TRUE(listed(with_uid(kStranger)).empty());
  EXPECT_TRUE(listed(over_tcp()).empty());
  EXPECT_EQ(must(clients_.default_name(with_uid(kReader))), "web");
  EXPECT_FAULT(clients_.default_name(owner()), Fault::kInvalid);
  EXPECT_FAULT(clients_.default_name(over_tcp()), Fault::kInvalid);
  EXPECT_EQ(outcome(with_uid(kReader), ""), "ro");
  EXPECT_EQ(outcome(over_tcp(), "@" + token.text), "ro");
}

TEST_F(ClientExportsTest, AStoreBecomesGuardedWhileItIsServed) {
  EXPECT_FALSE(must(guard_.is_guarded()));
  auto before = must(clients_.open(over_tcp(), "web"));
  add_user("reader", kReader, "read:web");
  EXPECT_TRUE(must(guard_.is_guarded()));
  EXPECT_EQ(outcomes(over_tcp()), "- - -");
  EXPECT_TRUE(before->may_write());
}

TEST_F(ClientExportsTest, RefusalsAreLoggedAndAuditedWithoutTokens) {
  add_user("reader", kReader, "read:web");
  const auto token = add_token("reader", "read:web");
  outcome(with_uid(kStranger), "web");
  outcome(over_tcp(), "other@" + token.text);
  outcome(with_uid(kReader), "web");
  outcome(over_tcp(), "web:" + token.text);
  EXPECT_NE(log_.find("refused: uid 4000000001 asked for open of web\n"), std::string::npos)
      << log_;
  EXPECT_NE(log_.find(" of reader asked for open of other\n"), std::string::npos) << log_;
  EXPECT_NE(log_.find("asked for open of web:cdt_***\n"), std::string::npos) << log_;
  EXPECT_EQ(log_.find(token.text.substr(40)), std::string::npos) << log_;
  std::string trail;
  must(visit_events(*records(), 0, [&](const AuditEntry& entry) -> Result<void> {
    trail += entry.who + "|" + entry.what + "|" + entry.on + "|" + entry.outcome + "\n";
    return {};
  }));
  EXPECT_NE(trail.find("uid 4000000001|open|web|refused\n"), std::string::npos) << trail;
  EXPECT_NE(trail.find("of reader|open|other|refused\n"), std::string::npos) << trail;
  EXPECT_NE(trail.find("user reader|open read-only|web|allowed\n"), std::string::npos) << trail;
  EXPECT_EQ(trail.find(token.text.substr(40)), std::string::npos) << trail;
}

// nbdkit asks for its name first, and opens nothing where there is none.
TEST_F(ClientExportsTest, ARefusedDefaultIsLoggedAndAudited) {
  add_user("reader", 1, "read:nothing");
  EXPECT_FAULT(clients_.default_name(with_uid(kStranger)), Fault::kInvalid);
  EXPECT_EQ(log_, "refused: uid 4000000001 asked for open of the default export\n");
  size_t refused_count = 0;
  must(visit_events(*records(), 0, [&](const AuditEntry& entry) {
    if (entry.on == "the default export" && entry.outcome == "refused") refused_count++;
    return Result<void>();
  }));
  EXPECT_EQ(refused_count, 1u);
  log_.clear();
  (void)clients_.default_name(owner()).ok();  // two disks: the owner has to choose
  EXPECT_EQ(log_, "");
}

TEST_F(ClientExportsTest, ATokenInTheClearIsWarnedOfOnce) {
  add_user("reader", std::nullopt, "read:web");
  const std::string token = add_token("reader", "read:web").text;
  Peer far{std::nullopt, "192.0.2.7"};
  EXPECT_EQ(outcome(far, "web@" + token), "ro");
  EXPECT_EQ(log_, "") << "within TLS";
  far.is_overheard = true;
  EXPECT_EQ(outcome(far, "web"), "-");
  EXPECT_EQ(log_.find("warning"), std::string::npos) << log_;
  EXPECT_EQ(outcome(far, "web@" + token), "ro");
  const size_t at = log_.find("warning: a token came from 192.0.2.7 in the clear");
  ASSERT_NE(at, std::string::npos) << log_;
  EXPECT_EQ(outcome(far, "web@" + token), "ro");
  EXPECT_EQ(log_.find("warning", at + 1), std::string::npos) << log_;
  EXPECT_EQ(log_.find("cdt_"), std::string::npos) << log_;
}

TEST_F(ClientExportsTest, AFloodOfRefusalsIsCountedInTheLog) {
  add_user("reader", 1, "read:web");
  const auto line_count = [&] { return uint64_t(std::ranges::count(log_, '\n')); };
  const Peer stranger = with_uid(kStranger);
  for (uint64_t i = 0; i < kMaxEventsAtOnce + 30; i++) EXPECT_EQ(outcome(stranger, "web"), "-");
  EXPECT_LE(line_count(), kMaxEventsAtOnce + 10) << "what was earned meanwhile, too";
  EXPECT_GE(line_count(), kMaxEventsAtOnce);
  ahead_ms_ += kEventEveryMs;
  EXPECT_EQ(outcome(stranger, "web"), "-");
  EXPECT_NE(log_.find(" lines before it were left out)\n"), std::string::npos) << log_;
}

TEST_F(ClientExportsTest, RecordsThatCannotBeReadOpenNothing) {
  add_user("reader", kReader, "read:web");
  must(guard_.is_guarded());
  Guard broken(access_settings(store_.path(), "lmdb:" + store_.path() + "/nowhere/access"),
               [](const std::string&) {});
  ClientExports clients(*exports_, broken);
  EXPECT_FALSE(clients.open(over_tcp(), "web").ok());
  EXPECT_FALSE(clients.list(with_uid(kReader)).ok());
  EXPECT_OK(clients.open(owner(), "web"));
}

TEST_F(ClientExportsTest, TheFileOfTlsKeysIsAsTheRecordsAre) {
  const std::string path = store_.path() + "/keys.psk";
  PskRefresh refresh(guard_, path), nothing(guard_, "");
  auto text = [&] {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  must(refresh.refresh());
  EXPECT_EQ(text(), "");
  must(users().add({.name = "alice", .psk = new_psk()}));
  must(users().add({.name = "bob"}));
  must(refresh.refresh());
  const std::string with_alice = text();
  EXPECT_TRUE(with_alice.starts_with("alice:")) << with_alice.size();
  EXPECT_EQ(with_alice.size(), std::string("alice:\n").size() + 2 * kPskBytes);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  must(refresh.refresh());
  EXPECT_EQ(text(), with_alice);
  must(users().remove("alice"));
  must(refresh.refresh());
  EXPECT_EQ(text(), "");
  EXPECT_OK(nothing.refresh());
}

}  // namespace
}  // namespace casdisk
