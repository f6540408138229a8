// What the parts of `casdisk user` and `casdisk token` share: the access store that they mean, and
// how its records are shown.
#pragma once

#include <memory>

#include "nbd/auth/access_records.h"
#include "nbd/auth/access_store.h"
#include "nbd/cli/arguments.h"
#include "nbd/cli/console.h"
#include "nbd/cli/session.h"

namespace casdisk {

extern const OptionSyntax kAccessOption;
extern const OptionSyntax kGrantOption;

// What --access says; empty where it is not given. kInvalid: it is given, and empty, as a variable
// that is not set would make it: that must not mean the store's own users, or none.
Result<std::string> access_url_of(const Arguments& arguments);

// The one that --access, $CASDISK_ACCESS or the store says. kNotFound: it has no users yet.
Result<std::shared_ptr<AccessStore>> open_access(Session& session, const Arguments& arguments);
// The same; made where there is none yet.
Result<std::shared_ptr<AccessStore>> open_or_make_access(Session& session,
                                                         const Arguments& arguments);
// "uid 1000", for the audit trail: whoever runs this command.
std::string actor_text();

// Of --grant, each. kInvalid.
Result<std::vector<Grant>> grants_of(const Arguments& arguments);
// Of a duration's option; nothing where it is not given. kInvalid: none, or out of bounds.
Result<std::optional<uint64_t>> duration_ms_of(const Arguments& arguments,
                                               const std::string& option, uint64_t least_ms,
                                               uint64_t most_ms);
// "read,write:build-* admin:web", "-" for none.
std::string grants_text(const std::vector<Grant>& grants);
Json grants_json(const std::vector<Grant>& grants);

// Of ms since 1970; 0 is "-" and null.
std::string time_text(uint64_t ms);
Json time_json(uint64_t ms);

// Text that came from elsewhere, for a terminal: what is not printable ASCII becomes '?'.
std::string printable(std::string_view text);

}  // namespace casdisk
