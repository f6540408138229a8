// What a store in a server says of the record that tells its form.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// kNotFound: nothing is under the store's prefix, and none may be made.
Error no_store_there(const std::string& server);

// kUnsupported: the record `name` says another form than ours.
Error other_form_there(const std::string& server, std::string_view name);

}  // namespace casdisk
