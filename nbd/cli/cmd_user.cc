// casdisk user add, change, rotate, revoke, login
#include <fmt/format.h>

#include "nbd/auth/access.h"
#include "nbd/auth/lockout.h"
#include "nbd/auth/tokens.h"
#include "nbd/auth/users.h"
#include "nbd/cli/access_session.h"
#include "nbd/cli/cmd_access.h"
#include "nbd/cli/password_input.h"

namespace casdisk {
namespace {

const OptionSyntax kUidOption = {"uid", "N",
                                 "the number of the Unix user who is this one: a client of a Unix\n"
                                 "socket is known by it"};

constexpr uint64_t kUsualLoginMs = uint64_t(12) * 3600 * 1000;
constexpr uint64_t kMaxLoginMs = uint64_t(30) * 86400 * 1000;

Error usage(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

Result<std::optional<uint32_t>> uid_of(const Arguments& arguments) {
  TRY_ASSIGN(const auto number, arguments.number("uid", 0, UINT32_MAX - 1));
  if (!number) return std::optional<uint32_t>();
  return std::optional<uint32_t>(uint32_t(*number));
}

// Empty: no password was given.
Result<std::string> new_password_hash(const Arguments& arguments, PasswordCost cost) {
  TRY_ASSIGN(auto password, password_of(arguments, PasswordFor::kNew));
  if (!password) return std::string();
  const WipedAtEnd wiped(*password);
  return hash_password(*password, cost);
}

}  // namespace

Syntax user_add_syntax() {
  return {
      .positionals = {{"NAME"}},
      .options = {kGrantOption,
                  kUidOption,
                  kPasswordOption,
                  kPasswordFileOption,
                  {"psk", "", "with a key for TLS; `casdisk user show NAME --psk` shows it"},
                  kAccessOption},
      .about =
          "Makes a user. With the first one the store becomes guarded: from then on whoever wants\n"
          "something of a server needs a grant for it, users that servers have at the moment too.\n"
          "Whoever may read and write the store's files, such as root, stays above all that.",
      .exit_codes = "  1 when there is such a user, or the Unix user is another one's\n",
      .examples =
          "  casdisk user add alice --uid 1000 --grant 'admin:*'\n"
          "  casdisk user add ci --psk --grant 'read,write,checkpoint:build-*'\n"};
}

Result<int> run_user_add(Session& session, const Arguments& arguments) {
  NewUser user{.name = arguments.positional(0)};
  TRY(check_user_name(user.name));
  TRY_ASSIGN(user.grants, grants_of(arguments));
  TRY(check_grant_count(user.grants.size()));
  TRY_ASSIGN(user.uid, uid_of(arguments));
  TRY_ASSIGN(user.password_hash, new_password_hash(arguments, kUsualPasswordCost));
  if (arguments.has("psk")) user.psk = new_psk();
  const WipedAtEnd wiped(user.psk);
  TRY_ASSIGN(const auto store, open_or_make_access(session, arguments));
  TRY_ASSIGN(const UserRecord made, Users(store, actor_text()).add(user));
  if (made.grants.empty()) {
    session.console().note(
        fmt::format("{0} may do nothing yet: casdisk user change {0} --grant", made.name));
  }
  session.console().answer(
      fmt::format("made user {}\n", made.name),
      {{"user", made.name}, {"id", made.id.hex()}, {"grants", grants_json(made.grants)}});
  return 0;
}

Syntax user_change_syntax() {
  return {.positionals = {{"NAME"}},
          .options = {{"grant", "SCOPES:DISKS", "these instead of all that there were", true},
                      {"no-grants", "", "none any more"},
                      kUidOption,
                      {"no-uid", "", "no Unix user any more"},
                      {"enable", "", "after `casdisk user revoke`, or wrong passwords"},
                      kAccessOption},
          .about = "Changes what a user may do, or who it is. Servers go by it at once.",
          .exit_codes = "  1 when there is no such user, or the Unix user is another one's\n",
          .examples = "  casdisk user change ci --grant 'read:*' --grant 'write:build-*'\n"};
}

Result<int> run_user_change(Session& session, const Arguments& arguments) {
  const std::string& name = arguments.positional(0);
  TRY_ASSIGN(const auto grants, grants_of(arguments));
  TRY_ASSIGN(const auto uid, uid_of(arguments));
  const bool sets_grants = !grants.empty() || arguments.has("no-grants");
  const bool sets_uid = uid || arguments.has("no-uid");
  if (!grants.empty() && arguments.has("no-grants")) {
    return usage("user change: --grant and --no-grants exclude each other");
  }
  if (uid && arguments.has("no-uid")) {
    return usage("user change: --uid and --no-uid exclude each other");
  }
  if (!sets_grants && !sets_uid && !arguments.has("enable")) {
    return usage("user change: give --grant, --no-grants, --uid, --no-uid or --enable");
  }
  TRY(check_grant_count(grants.size()));
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const UserRecord changed,
             Users(store, actor_text()).change(name, "change user", [&](UserRecord& record) {
               if (sets_grants) record.grants = grants;
               if (sets_uid) record.uid = uid;
               if (arguments.has("enable")) record.is_disabled = false;
               return Result<void>();
             }));
  if (arguments.has("enable")) TRY(clear_attempts(*store, name));
  session.console().answer(
      fmt::format("changed user {}\n", changed.name),
      {{"user", changed.name}, {"id", changed.id.hex()}, {"grants", grants_json(changed.grants)}});
  return 0;
}

Syntax user_rotate_syntax() {
  return {.positionals = {{"NAME"}},
          .options = {kPasswordOption,
                      kPasswordFileOption,
                      {"psk", "", "a new key for TLS; write the servers' file anew (psk-file)"},
                      {"no-password", "", "no password any more"},
                      {"no-psk", "", "no key any more"},
                      kAccessOption},
          .about = "Gives a user a new password or a new key for TLS. The old one ends at once.",
          .exit_codes = "  1 when there is no such user\n",
          .examples = "  casdisk user rotate alice --password\n  casdisk user rotate ci --psk\n"};
}

Result<int> run_user_rotate(Session& session, const Arguments& arguments) {
  const std::string& name = arguments.positional(0);
  const bool sets_password =
      arguments.has("password") || arguments.has("password-file") || arguments.has("no-password");
  const bool sets_psk = arguments.has("psk") || arguments.has("no-psk");
  if (!sets_password && !sets_psk) {
    return usage("user rotate: give --password, --password-file, --psk, --no-password or --no-psk");
  }
  if (arguments.has("psk") && arguments.has("no-psk")) {
    return usage("user rotate: --psk and --no-psk exclude each other");
  }
  TRY_ASSIGN(const std::string hash, new_password_hash(arguments, kUsualPasswordCost));
  if (!hash.empty() && arguments.has("no-password")) {
    return usage("user rotate: --no-password excludes a new one");
  }
  std::string psk = arguments.has("psk") ? new_psk() : "";
  const WipedAtEnd wiped(psk);
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const UserRecord changed,
             Users(store, actor_text()).change(name, "rotate user", [&](UserRecord& record) {
               if (sets_password) record.password_hash = hash;
               if (sets_psk) record.psk = psk;
               return Result<void>();
             }));
  // Whoever tried the old one has nothing to do with the new one.
  if (sets_password) TRY(clear_attempts(*store, name));
  session.console().answer(fmt::format("changed the secrets of user {}\n", changed.name),
                           {{"user", changed.name},
                            {"id", changed.id.hex()},
                            {"password", sets_password},
                            {"psk", sets_psk}});
  return 0;
}

Syntax user_revoke_syntax() {
  return {
      .positionals = {{"NAME"}},
      .options = {{"remove", "", "remove the user, with all its tokens"}, kAccessOption},
      .about =
          "Disables a user, its tokens too, until `casdisk user change NAME --enable`. Whoever is\n"
          "connected stays so: `casdisk detach` ends connections. A key for TLS works until the\n"
          "servers' file is written anew (psk-file), which `casdisk serve` does by itself.",
      .exit_codes = "  1 when there is no such user\n",
      .examples = "  casdisk user revoke ci\n  casdisk user revoke ci --remove\n"};
}

Result<int> run_user_revoke(Session& session, const Arguments& arguments) {
  const std::string& name = arguments.positional(0);
  const bool removes = arguments.has("remove");
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  Users users(store, actor_text());
  if (removes) {
    TRY(users.remove(name));
  } else {
    TRY(users.change(name, "revoke user", [](UserRecord& record) {
      record.is_disabled = true;
      return Result<void>();
    }));
  }
  session.console().answer(fmt::format("{} user {}\n", removes ? "removed" : "disabled", name),
                           {{"user", name}, {"removed", removes}});
  return 0;
}

Syntax user_login_syntax() {
  return {
      .positionals = {{"NAME"}},
      .options = {kPasswordFileOption,
                  {"expires", "DURATION", "of the token (default 12h, at most 30d)"},
                  {"grant", "SCOPES:DISKS", "what of the user's grants it shall have", true},
                  kAccessOption},
      .about =
          "Checks a password and prints a token that is good for a while. After 5 wrong ones in\n"
          "a row nobody can log in by that name for 5 minutes.",
      .exit_codes = "  1 when name or password are wrong, or the user is disabled\n",
      .examples = "  casdisk user login alice --expires 1h\n"};
}

Result<int> run_user_login(Session& session, const Arguments& arguments) {
  NewToken wanted{.user = arguments.positional(0), .label = "login"};
  TRY(check_user_name(wanted.user));
  TRY_ASSIGN(wanted.grants, grants_of(arguments));
  TRY_ASSIGN(const auto lifetime_ms, duration_ms_of(arguments, "expires", 60'000, kMaxLoginMs));
  wanted.lifetime_ms = lifetime_ms.value_or(kUsualLoginMs);
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  const auto file = arguments.text("password-file");
  TRY_ASSIGN(std::string password, file ? read_password(*file) : ask_password("password"));
  const WipedAtEnd wiped(password);
  Access access(store);
  const auto who = access.by_password(wanted.user, password);
  const std::string actor = "user " + wanted.user;
  if (!who.ok()) {
    // The login fails either way, and with its own words.
    if (who.error().fault == Fault::kLimit) {
      (void)access.audit({actor, "login", wanted.user, "locked out"}).ok();
    }
    return who.error();
  }
  if (!who.value()) {
    TRY(access.audit({actor, "login", wanted.user, "refused"}));
    return Error{Fault::kNotFound, 0,
                 fmt::format("user {}: the name or the password is wrong", wanted.user)};
  }
  TRY_ASSIGN(const IssuedToken token, Tokens(store, actor).add(wanted));
  answer_token(session.console(), token, wanted.user);
  return 0;
}

std::span<const Command> user_commands() {
  static constexpr Command kCommands[] = {
      {"add", "make a user", user_add_syntax, run_user_add},
      {"ls", "list the users", user_ls_syntax, run_user_ls},
      {"show", "show a user", user_show_syntax, run_user_show},
      {"change", "change what a user may do", user_change_syntax, run_user_change},
      {"rotate", "give a user a new password or key", user_rotate_syntax, run_user_rotate},
      {"revoke", "disable a user, or remove it", user_revoke_syntax, run_user_revoke},
      {"login", "check a password and print a token", user_login_syntax, run_user_login},
      {"psk-file", "write the file for nbdkit --tls-psk", user_psk_file_syntax, run_user_psk_file},
      {"audit", "show who did what", user_audit_syntax, run_user_audit},
      {"rotate-key", "change the master key", user_rotate_key_syntax, run_user_rotate_key},
  };
  return kCommands;
}

}  // namespace casdisk
