// casdisk token add, ls, revoke, rotate
#include <fmt/format.h>

#include <map>

#include "nbd/auth/tokens.h"
#include "nbd/auth/users.h"
#include "nbd/cli/access_session.h"
#include "nbd/cli/cmd_access.h"
#include "nbd/cli/format.h"

namespace casdisk {
namespace {

constexpr uint64_t kMinTokenMs = 60'000;
constexpr uint64_t kMaxTokenMs = uint64_t(10) * 365 * 86400 * 1000;

Result<AccessId> token_id(const std::string& text) {
  if (const auto id = AccessId::parse(text)) return *id;
  // Not quoted: it may be the token itself.
  return Error{Fault::kInvalid, 0,
               "that is no token's id: give its 32 hex digits, which `casdisk token ls` lists"};
}

std::string state_of(const TokenRecord& token, const UserRecord* user, uint64_t now_ms) {
  if (token.is_revoked) return "revoked";
  if (token.expires_ms != 0 && token.expires_ms <= now_ms) return "expired";
  return user == nullptr || user->is_disabled ? "disabled" : "valid";
}

}  // namespace

void answer_token(Console& console, const IssuedToken& token, const std::string& user) {
  const TokenRecord& record = token.record;
  console.note(
      fmt::format("this is the token {} of {}; it is not shown again", record.id.hex(), user));
  console.answer(token.text + "\n", {{"token", token.text},
                                     {"id", record.id.hex()},
                                     {"user", user},
                                     {"label", record.label},
                                     {"grants", grants_json(record.grants)},
                                     {"expires", time_json(record.expires_ms)}});
}

Syntax token_add_syntax() {
  return {
      .positionals = {{"USER"}},
      .options = {{"label", "TEXT", "what it is for"},
                  {"grant", "SCOPES:DISKS",
                   "what of the user's grants it has (default: all of them)", true},
                  {"expires", "DURATION", "60s, 12h, 7d, 52w... (default: never)"},
                  kAccessOption},
      .about =
          "Makes a token and prints it, this once. Who has it may do what both the token's and\n"
          "the user's grants allow: it ends an export's name, as in nbd://host/web@TOKEN. Send it\n"
          "through a Unix socket or TLS only.",
      .exit_codes = "  1 when there is no such user\n",
      .examples = "  casdisk token add ci --label runner-7 --grant 'read:*' --expires 7d\n"};
}

Result<int> run_token_add(Session& session, const Arguments& arguments) {
  NewToken wanted{.user = arguments.positional(0), .label = arguments.text("label").value_or("")};
  TRY_ASSIGN(wanted.grants, grants_of(arguments));
  TRY(check_grant_count(wanted.grants.size()));
  TRY(check_token_label(wanted.label));
  TRY_ASSIGN(const auto lifetime_ms,
             duration_ms_of(arguments, "expires", kMinTokenMs, kMaxTokenMs));
  wanted.lifetime_ms = lifetime_ms.value_or(0);
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const IssuedToken token, Tokens(store, actor_text()).add(wanted));
  answer_token(session.console(), token, wanted.user);
  return 0;
}

Syntax token_ls_syntax() {
  return {.positionals = {{"USER", false}},
          .options = {kAccessOption},
          .about = "Lists the tokens, or those of a user. Expired ones go after 30 days.",
          .examples = "  casdisk token ls ci\n"};
}

Result<int> run_token_ls(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  Users users(store, "");
  std::optional<AccessId> only;
  if (arguments.positional_count() > 0) {
    TRY_ASSIGN(const StoredUser user, users.get(arguments.positional(0)));
    only = user.record.id;
  }
  TRY_ASSIGN(const auto all, users.list());
  std::map<AccessId, const UserRecord*> by_id;
  for (const UserRecord& user : all) by_id[user.id] = &user;
  TRY_ASSIGN(const auto tokens, Tokens(store, "").list(only));
  std::vector<std::vector<std::string>> rows = {
      {"ID", "USER", "LABEL", "GRANTS", "EXPIRES", "LAST USE", "STATE"}};
  Json list = Json::array();
  for (const TokenRecord& token : tokens) {
    const auto found = by_id.find(token.user);
    const UserRecord* user = found == by_id.end() ? nullptr : found->second;
    const std::string name = user == nullptr ? "-" : user->name;
    const std::string state = state_of(token, user, store->now_ms());
    TRY_ASSIGN(const uint64_t last_ms, users.last_use(token.id));
    rows.push_back({token.id.hex(), name, token.label.empty() ? "-" : token.label,
                    grants_text(token.grants), time_text(token.expires_ms), time_text(last_ms),
                    state});
    list.push_back({{"id", token.id.hex()},
                    {"user", name},
                    {"label", token.label},
                    {"grants", grants_json(token.grants)},
                    {"state", state},
                    {"created", time_json(token.created_ms)},
                    {"expires", time_json(token.expires_ms)},
                    {"last_use", time_json(last_ms)}});
  }
  session.console().answer(table_text(rows), {{"tokens", std::move(list)}});
  return 0;
}

Syntax token_revoke_syntax() {
  return {.positionals = {{"ID"}},
          .options = {{"remove", "", "remove its record too, so that it is not listed any more"},
                      kAccessOption},
          .about =
              "Ends a token at once and for good. Whoever is connected stays so: `casdisk detach`\n"
              "ends connections.",
          .exit_codes = "  1 when there is no such token\n",
          .examples = "  casdisk token revoke 0f5e...\n"};
}

Result<int> run_token_revoke(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const AccessId id, token_id(arguments.positional(0)));
  const bool removes = arguments.has("remove");
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  Tokens tokens(store, actor_text());
  if (removes) {
    TRY(tokens.remove(id));
  } else {
    TRY(tokens.revoke(id));
  }
  session.console().answer(fmt::format("{} token {}\n", removes ? "removed" : "revoked", id.hex()),
                           {{"id", id.hex()}, {"removed", removes}});
  return 0;
}

Syntax token_rotate_syntax() {
  return {.positionals = {{"ID"}},
          .options = {kAccessOption},
          .about =
              "Gives a token a new secret and prints it, this once. The old one ends at once; id,\n"
              "label, grants and expiry stay.",
          .exit_codes = "  1 when there is no such token\n",
          .examples = "  casdisk token rotate 0f5e...\n"};
}

Result<int> run_token_rotate(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const AccessId id, token_id(arguments.positional(0)));
  TRY_ASSIGN(const auto store, open_access(session, arguments));
  TRY_ASSIGN(const IssuedToken token, Tokens(store, actor_text()).rotate(id));
  TRY_ASSIGN(const auto user, Users(store, "").find(token.record.user));
  answer_token(session.console(), token, user ? user->record.name : "-");
  return 0;
}

std::span<const Command> token_commands() {
  static constexpr Command kCommands[] = {
      {"add", "make a token for a user", token_add_syntax, run_token_add},
      {"ls", "list tokens", token_ls_syntax, run_token_ls},
      {"revoke", "end a token", token_revoke_syntax, run_token_revoke},
      {"rotate", "give a token a new secret", token_rotate_syntax, run_token_rotate},
  };
  return kCommands;
}

}  // namespace casdisk
