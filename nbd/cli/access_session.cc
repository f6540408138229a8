#include "nbd/cli/access_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cas/kv/kv_open.h"
#include "nbd/cli/format.h"
#include "nbd/duration_text.h"

namespace casdisk {
namespace {

Result<AccessSettings> settings_of(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const std::string url, access_url_of(arguments));
  TRY_ASSIGN(const std::string store_path, session.store_path());
  AccessSettings settings = access_settings(store_path, url);
  const bool needs_store = settings.is_default_url() || settings.key_path.empty();
  if (needs_store && ::access((store_path + "/format").c_str(), F_OK) != 0) {
    return Error{Fault::kNotFound, 0,
                 fmt::format("{}: not a store; `casdisk init` makes one", store_path)};
  }
  return settings;
}

Error no_users(const AccessSettings& settings) {
  return Error{Fault::kNotFound, 0,
               fmt::format("{}: it has no users, so that whoever reaches a server may do "
                           "everything; `casdisk user add` makes the first",
                           shown_kv_url(settings.actual_url()))};
}

}  // namespace

const OptionSyntax kAccessOption = {"access", "URL",
                                    "the key-value store that has the users and tokens\n"
                                    "(default: $CASDISK_ACCESS, else lmdb:STORE/access)"};
const OptionSyntax kGrantOption = {
    "grant", "SCOPES:DISKS",
    "read, write, checkpoint, admin, on disks whose names match DISKS,\n"
    "in which * and ? stand for any; may be given more than once",
    true};

Result<std::string> access_url_of(const Arguments& arguments) {
  const auto url = arguments.text("access");
  if (!url || !url->empty()) return url.value_or("");
  return Error{Fault::kInvalid, 0, "--access is empty: give the URL of a key-value store"};
}

Result<std::shared_ptr<AccessStore>> open_access(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const AccessSettings settings, settings_of(session, arguments));
  TRY_ASSIGN(auto store, AccessStore::open(settings, AccessStore::MayCreate::kNo));
  if (store == nullptr) return no_users(settings);
  TRY_ASSIGN(const auto encryption, store->encryption());
  if (encryption == nullptr) return no_users(settings);
  return store;
}

Result<std::shared_ptr<AccessStore>> open_or_make_access(Session& session,
                                                         const Arguments& arguments) {
  TRY_ASSIGN(const AccessSettings settings, settings_of(session, arguments));
  return AccessStore::open(settings, AccessStore::MayCreate::kYes);
}

std::string actor_text() { return fmt::format("uid {}", ::getuid()); }

Result<std::vector<Grant>> grants_of(const Arguments& arguments) {
  std::vector<Grant> grants;
  for (const std::string& text : arguments.texts("grant")) {
    TRY_ASSIGN(Grant grant, parse_grant(text));
    grants.push_back(std::move(grant));
  }
  return grants;
}

Result<std::optional<uint64_t>> duration_ms_of(const Arguments& arguments,
                                               const std::string& option, uint64_t least_ms,
                                               uint64_t most_ms) {
  const auto text = arguments.text(option);
  if (!text) return std::optional<uint64_t>();
  TRY_ASSIGN(const uint64_t ms, parse_duration(*text, "--" + option));
  if (ms >= least_ms && ms <= most_ms) return std::optional<uint64_t>(ms);
  return Error{Fault::kInvalid, 0,
               fmt::format("--{} {:?}: give {} s to {} days", option, *text, least_ms / 1000,
                           most_ms / 86'400'000)};
}

std::string grants_text(const std::vector<Grant>& grants) {
  std::string text;
  for (const Grant& grant : grants) text += (text.empty() ? "" : " ") + grant_text(grant);
  return text.empty() ? "-" : text;
}

Json grants_json(const std::vector<Grant>& grants) {
  Json list = Json::array();
  for (const Grant& grant : grants) list.push_back(grant_text(grant));
  return list;
}

std::string time_text(uint64_t ms) {
  constexpr uint64_t kLastMs = INT64_MAX / 1'000'000;
  return ms == 0 ? "-" : utc_text(int64_t(std::min(ms, kLastMs)) * 1'000'000);
}

Json time_json(uint64_t ms) { return ms == 0 ? Json(nullptr) : Json(time_text(ms)); }

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return shown;
}

}  // namespace casdisk
