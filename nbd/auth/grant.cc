#include "nbd/auth/grant.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "index/name_rules.h"

namespace casdisk {
namespace {

struct ScopeName {
  std::string_view name;
  Scope scope;
};
constexpr ScopeName kScopeNames[] = {{"read", Scope::kRead},
                                     {"write", Scope::kWrite},
                                     {"checkpoint", Scope::kCheckpoint},
                                     {"admin", Scope::kAdmin}};

Error invalid(std::string_view text, std::string what) {
  return Error{Fault::kInvalid, 0,
               fmt::format("grant {:?}: {}; write it as SCOPES:PATTERN, such as "
                           "read,write:build-*; scopes are read, write, checkpoint and admin",
                           text, what)};
}

std::optional<uint8_t> scope_of(std::string_view name) {
  for (const ScopeName& known : kScopeNames) {
    if (known.name == name) return uint8_t(known.scope);
  }
  return std::nullopt;
}

bool is_pattern_character(char c) { return is_name_character(c) || c == '*' || c == '?'; }

// What scopes come with those that are written down.
uint8_t with_included(uint8_t scopes) {
  if ((scopes & uint8_t(Scope::kAdmin)) != 0) return kAllScopes;
  if ((scopes & uint8_t(Scope::kWrite)) != 0) scopes |= uint8_t(Scope::kRead);
  return scopes;
}

// After a mismatch only the last '*' takes one byte more: what an earlier one could take besides,
// the last can too. So at most |pattern| * |name| steps.
bool matches(std::string_view pattern, std::string_view name) {
  size_t at = 0;
  size_t in = 0;
  std::optional<size_t> star;
  size_t star_in = 0;
  while (in < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      star_in = in;
    } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[in])) {
      at++;
      in++;
    } else if (star) {
      at = *star + 1;
      in = ++star_in;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == pattern.npos;
}

}  // namespace

Result<Grant> parse_grant(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos) return invalid(text, "there is no colon in it");
  Grant grant{.pattern = std::string(text.substr(colon + 1))};
  std::string_view scopes = text.substr(0, colon);
  while (true) {
    const size_t comma = std::min(scopes.find(','), scopes.size());
    const auto scope = scope_of(scopes.substr(0, comma));
    if (!scope) return invalid(text, fmt::format("unknown scope {:?}", scopes.substr(0, comma)));
    grant.scopes |= *scope;
    if (comma == scopes.size()) break;
    scopes.remove_prefix(comma + 1);
  }
  if (!is_valid(grant)) {
    return invalid(text, fmt::format("a pattern has 1 to {} of the characters that disks' names "
                                     "have, and * and ?",
                                     kMaxPatternBytes));
  }
  return grant;
}

Result<void> check_grant_count(size_t count) {
  if (count <= kMaxGrants) return {};
  return Error{Fault::kInvalid, 0, fmt::format("{} grants: give at most {}", count, kMaxGrants)};
}

bool is_valid(const Grant& grant) {
  return grant.scopes != 0 && (grant.scopes & ~kAllScopes) == 0 && !grant.pattern.empty() &&
         grant.pattern.size() <= kMaxPatternBytes &&
         std::ranges::all_of(grant.pattern, is_pattern_character);
}

std::string grant_text(const Grant& grant) {
  std::string text;
  for (const ScopeName& known : kScopeNames) {
    if ((grant.scopes & uint8_t(known.scope)) == 0) continue;
    if (!text.empty()) text += ',';
    text += known.name;
  }
  return text + ":" + grant.pattern;
}

bool any_allows(std::span<const Grant> grants, Scope scope, std::string_view disk) {
  return std::ranges::any_of(grants, [&](const Grant& grant) {
    return (with_included(grant.scopes) & uint8_t(scope)) != 0 && matches(grant.pattern, disk);
  });
}

std::string principal_text(const Principal& principal) {
  if (principal.token_id.empty()) return "user " + principal.user;
  return fmt::format("token {} of {}", principal.token_id, principal.user);
}

bool allows(const Principal& principal, Scope scope, std::string_view disk) {
  return any_allows(principal.grants, scope, disk) &&
         (principal.token_id.empty() || any_allows(principal.token_grants, scope, disk));
}

}  // namespace casdisk
