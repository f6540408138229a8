// Envelopes: what is stored of a record so that only a holder of the master key can read it,
// change it, or put it under another record's key.
//
// Envelope encryption: a data key of its own for each value, encrypted ("wrapped") with a master
// key; the record's key is authenticated with both. docs/FORMAT.md has the bytes. Pure functions
// but for random keys and nonces.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"
#include "nbd/auth/master_keys.h"

namespace casdisk {

// What an envelope says of itself without any key.
struct Envelope {
  Cipher cipher = Cipher::kXChaCha20Poly1305;
  MasterKeyId master_key = {};
  std::string_view header;      // that was authenticated: the fields above and the form
  std::string_view wrap_nonce;  // these are views of the value
  std::string_view wrapped_key;
  std::string_view nonce;
  std::string_view encrypted;
};

// What it adds to a record, at most.
inline constexpr size_t kMaxEnvelopeBytes = 10 + 24 + 48 + 24 + 16;

// kDamaged: not an envelope. Nothing is allocated.
Result<Envelope> parse_envelope(std::string_view value);

// REQUIRES: is_available(cipher).
std::string make_envelope(const MasterKey& master, Cipher cipher, std::string_view record_key,
                          std::string_view plain);

// kDamaged: it was changed, or belongs to another record. REQUIRES: `master` is the one that it
// names. kUnsupported: this processor has not its cipher.
Result<std::string> open_envelope(const MasterKey& master, std::string_view record_key,
                                  const Envelope& value);

}  // namespace casdisk
