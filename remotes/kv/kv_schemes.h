// Every kind of key-value store that there is: the embedded ones, and those that servers keep.
//
//     redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?OPTIONS]
//     redis+unix://[USER:PASSWORD@]/SOCKET[?db=DATABASE&OPTIONS]
//       prefix=TEXT, durable=require, timeout_ms=NUMBER, password_file=PATH
//     etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX][?timeout_ms=NUMBER]
//
// docs/KV.md says what the options mean.
#pragma once

#include "cas/kv/kv_open.h"

namespace casdisk {

std::span<const KvScheme> all_kv_schemes();

}  // namespace casdisk
