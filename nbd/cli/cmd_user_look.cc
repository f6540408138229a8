// casdisk user ls, show, audit, psk-file, rotate-key
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "cas/os/hex.h"
#include "nbd/auth/access.h"
#include "nbd/auth/audit_trail.h"
#include "nbd/auth/key_rotation.h"
#include "nbd/auth/lockout.h"
#include "nbd/auth/psk_file.h"
#include "nbd/auth/users.h"
#include "nbd/cli/access_session.h"
#include "nbd/cli/cmd_access.h"
#include "nbd/cli/format.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

constexpr uint64_t kUsualAuditCount = 100;
constexpr uint64_t kMaxAuditCount = 1'000'000;
constexpr uint64_t kMaxSinceMs = uint64_t(100) * 365 * 86400 * 1000;

// What is known of a user beside its record.
struct UserUse {
  uint64_t last_ms = 0;
  uint64_t locked_ms = 0;
};

Result<UserUse> use_of(const std::shared_ptr<AccessStore>& store, const UserRecord& user) {
  UserUse use;
  TRY_ASSIGN(use.last_ms, Users(store, "").last_use(user.id));
  TRY_ASSIGN(use.locked_ms, locked_out_for_ms(*store, user.name));
  return use;
}

std::string state_of(const UserRecord& user, const UserUse& use) {
  if (user.is_disabled) return "disabled";
  return use.locked_ms > 0 ? "locked" : "enabled";
}

Json user_json(const UserRecord& user, const UserUse& use) {
  return {{"user", user.name},
          {"id", user.id.hex()},
          {"uid", user.uid ? Json(*user.uid) : Json(nullptr)},
          {"grants", grants_json(user.grants)},
          {"password", !user.password_hash.empty()},
          {"psk", !user.psk.empty()},
          {"state", state_of(user, use)},
          {"locked_seconds", (use.locked_ms + 999) / 1000},
          {"created", time_json(user.created_ms)},
          {"last_use", time_json(use.last_ms)}};
}

std::string ways_in(const UserRecord& user) {
  std::string text;
  if (!user.password_hash.empty()) text += "password ";
  if (!user.psk.empty()) text += "psk ";
  if (user.uid) text += fmt::format("uid {} ", *user.uid);
  if (text.empty()) return "-";
  text.pop_back();
  return text;
}

}  // namespace

Syntax user_ls_syntax() {
  return {.options = {kAccessOption},
          .about = "KNOWN BY: what a client can show that it is this user with; tokens beside.",
          .examples = "  casdisk user ls --json | jq -r '.users[].user'\n"};
}

Result<int> run_user_ls(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const auto users, Users(store, "").list());
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "KNOWN BY", "GRANTS", "LAST USE", "STATE"}};
  Json list = Json::array();
  for (const UserRecord& user : users) {
    TRY_ASSIGN(const UserUse use, use_of(store, user));
    rows.push_back({user.name, ways_in(user), grants_text(user.grants), time_text(use.last_ms),
                    state_of(user, use)});
    list.push_back(user_json(user, use));
  }
  session.console().answer(table_text(rows), {{"users", std::move(list)}});
  return 0;
}

Syntax user_show_syntax() {
  return {.positionals = {{"NAME"}},
          .options = {{"psk", "", "the key for TLS alone, as NAME:HEX: a secret"}, kAccessOption},
          .about =
              "Shows a user. With --psk what its client needs as file keys.psk, beside the name:\n"
              "qemu as tls-creds-psk, libnbd as nbds-URI with tls-psk-file.",
          .exit_codes = "  1 when there is no such user, or it has no key\n",
          .examples = "  casdisk user show ci\n  casdisk user show ci --psk > keys.psk\n"};
}

Result<int> run_user_show(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const StoredUser stored, Users(store, "").get(arguments.positional(0)));
  const UserRecord& user = stored.record;
  if (arguments.has("psk")) {
    if (user.psk.empty()) {
      return Error{
          Fault::kNotFound, 0,
          fmt::format("user {0} has no key for TLS: casdisk user rotate {0} --psk", user.name)};
    }
    std::string hex = hex_of(as_bytes(user.psk));
    const WipedAtEnd wiped(hex);
    session.console().answer(fmt::format("{}:{}\n", user.name, hex),
                             {{"user", user.name}, {"psk", hex}});
    return 0;
  }
  TRY_ASSIGN(const UserUse use, use_of(store, user));
  session.console().answer(
      fmt::format("name      {}\nid        {}\nknown by  {}\ngrants    {}\nstate     {}\n"
                  "created   {}\nlast use  {}\n",
                  user.name, user.id.hex(), ways_in(user), grants_text(user.grants),
                  state_of(user, use), time_text(user.created_ms), time_text(use.last_ms)),
      user_json(user, use));
  return 0;
}

Syntax user_psk_file_syntax() {
  return {
      .positionals = {{"PATH"}},
      .options = {kAccessOption},
      .about =
          "Writes the keys for TLS of all users that are enabled and have one, for nbdkit's\n"
          "--tls=require --tls-psk=PATH, which reads the file anew for each client. Mode 0600,\n"
          "replaced as a whole. `casdisk serve --tls` keeps a file of its own.",
      .examples = "  casdisk user psk-file /run/casdisk/keys.psk\n"};
}

Result<int> run_user_psk_file(Session& session, const Arguments& arguments) {
  const std::string& path = arguments.positional(0);
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(std::string text, Access(store).psk_file_text());
  const WipedAtEnd wiped(text);
  TRY_ASSIGN(const bool is_changed, write_psk_file(path, text, store->settings().files_owner()));
  const auto count = uint64_t(std::count(text.begin(), text.end(), '\n'));
  session.console().answer(
      fmt::format("{} {} {}\n", path, is_changed ? "has" : "has already", plural(count, "key")),
      {{"path", path}, {"key_count", count}, {"changed", is_changed}});
  return 0;
}

Syntax user_audit_syntax() {
  return {
      .options = {{"since", "DURATION", "what happened in the last 90s, 30m, 12h, 7d..."},
                  {"limit", "N", "the newest N (default 100)"},
                  kAccessOption},
      .about =
          "Shows who did what, the oldest first: changes of users and tokens, and what servers\n"
          "allowed and refused. Entries are kept for 90 days.",
      .examples = "  casdisk user audit --since 1d\n"};
}

Result<int> run_user_audit(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto limit, arguments.number("limit", 1, kMaxAuditCount));
  TRY_ASSIGN(const auto since_ago_ms, duration_ms_of(arguments, "since", 1000, kMaxSinceMs));
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  const uint64_t now_ms = store->now_ms();
  const uint64_t since_ms = now_ms - std::min(now_ms, since_ago_ms.value_or(now_ms));
  std::deque<AuditEntry> entries;
  TRY(visit_events(*store, since_ms, [&](const AuditEntry& entry) {
    entries.push_back(entry);
    if (entries.size() > limit.value_or(kUsualAuditCount)) entries.pop_front();
    return Result<void>();
  }));
  std::vector<std::vector<std::string>> rows = {{"TIME", "WHO", "WHAT", "ON", "OUTCOME"}};
  Json list = Json::array();
  for (const AuditEntry& entry : entries) {
    if (entry.left_out_count > 0) {
      rows.push_back({"", "", fmt::format("({} left out)", entry.left_out_count), "", ""});
    }
    rows.push_back({time_text(entry.time_ms), printable(entry.who), printable(entry.what),
                    printable(entry.on), printable(entry.outcome)});
    list.push_back({{"time", time_text(entry.time_ms)},
                    {"who", entry.who},
                    {"what", entry.what},
                    {"on", entry.on},
                    {"outcome", entry.outcome},
                    {"left_out_count", entry.left_out_count}});
  }
  session.console().answer(table_text(rows), {{"events", std::move(list)}});
  return 0;
}

Syntax user_rotate_key_syntax() {
  return {.options = {{"begin", "",
                       "make the new key, and stop: bring the file to all hosts that share\n"
                       "the users, and say rotate-key again"},
                      {"cipher", "NAME",
                       "xchacha20-poly1305 (default) or aes-256-gcm, which not every\n"
                       "processor has; from now on"},
                      kAccessOption},
          .about =
              "Makes a new master key, encrypts the records of all users and tokens with it, and\n"
              "takes the old one out of the file. Interrupted, it goes on when it is said again.\n"
              "Servers read the file by themselves.",
          .examples = "  casdisk user rotate-key\n"};
}

Result<int> run_user_rotate_key(Session& session, const Arguments& arguments) {
  std::optional<Cipher> cipher;
  if (const auto name = arguments.text("cipher")) {
    cipher = cipher_from_name(*name);
    if (!cipher) {
      return Error{Fault::kInvalid, 0,
                   fmt::format("--cipher {:?}: give xchacha20-poly1305 or aes-256-gcm", *name)};
    }
  }
  const bool only_begins = arguments.has("begin");
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const KeyRotation rotation,
             rotate_master_key(*store, only_begins ? RotateHow::kBegin : RotateHow::kWhole, cipher,
                               actor_text()));
  const std::string key = master_key_name(rotation.key);
  const std::string path = store->settings().actual_key_path();
  std::string said;
  if (only_begins) {
    said = fmt::format("{} has the new key {}\n", path, key);
  } else {
    said = fmt::format("{}{} encrypted with the new key {}\n",
                       rotation.is_resumed ? "finished what was begun: " : "",
                       plural(rotation.record_count, "record"), key);
  }
  session.console().answer(said, {{"key", key},
                                  {"path", path},
                                  {"begun", only_begins},
                                  {"resumed", rotation.is_resumed},
                                  {"record_count", rotation.record_count}});
  return 0;
}

}  // namespace casdisk
