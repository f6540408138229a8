#include "remotes/kv/store_form.h"

#include <fmt/format.h>

#include "cas/kv/kv_backend.h"

namespace casdisk {

Error no_store_there(const std::string& server) {
  return Error{Fault::kNotFound, 0, server + ": there is no store under this prefix"};
}

Error other_form_there(const std::string& server, std::string_view name) {
  return Error{Fault::kUnsupported, 0,
               fmt::format("{}: {} says that something else is stored there, or by a later "
                           "version; take another prefix",
                           server, kv_quote(name))};
}

}  // namespace casdisk
