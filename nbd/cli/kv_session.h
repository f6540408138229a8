// Opening the key-value stores that a command line names, and what the commands on them share.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cas/kv/kv_store.h"
#include "nbd/cli/session.h"
#include "nbd/kv/record_reader.h"

namespace casdisk {

extern const OptionSyntax kKvCapacityOption;  // of commands that write
extern const OptionSyntax kKvEscapedOption;
extern const OptionSyntax kKvFormOption;
extern const OptionSyntax kKvTimingOption;

enum class KvUse {
  kExisting,  // kNotFound where there is none: what is misspelt is not made
  kToRemove,  // likewise; a store that is full can be emptied
  kMayMake,
};

// With the options above, as far as the command has them. Inside a store of disks only what is a
// key-value store already is opened, and nothing is made.
Result<std::unique_ptr<KvStore>> open_named_kv(Session& session, const Arguments& arguments,
                                               const std::string& url, KvUse use);

// Says of a store that is full how to let it hold more, where that is an option's matter.
Error with_capacity_hint(Error error, const KvStore& store);

// The store of disks that a URL's directory lies in, or is, if that is so.
std::optional<std::string> store_of_disks_around(const std::string& url);

// A positional, unescaped with --escaped; errors call it `name`.
Result<std::string> kv_argument(const Arguments& arguments, size_t i, const std::string& name);

// Of a file that is to be read ("-" is stdin): before a store is made for what is in it.
Result<void> expect_readable(const std::string& path);

// --form; without it JSON with --json.
Result<RecordForm> kv_form(const Session& session, const Arguments& arguments);

}  // namespace casdisk
