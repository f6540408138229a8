// Change of master keys: every encrypted record gets a data key that is wrapped with a new one.
//
// Steps, each of them durable: the new key comes into the file beside the old ones; the settings
// are encrypted with it, from when on everybody encrypts with it; every other record is; the old
// keys leave the file. Interrupted anywhere, it goes on where it was; records can be read
// throughout. One process of a host at a time, by a lock beside the file: kBusy.
#pragma once

#include "nbd/auth/access_store.h"

namespace casdisk {

struct KeyRotation {
  bool is_resumed = false;    // it was begun before
  uint64_t record_count = 0;  // that were encrypted anew, now
  MasterKeyId key = {};       // of all records now
};

enum class RotateHow {
  kWhole,
  kBegin,  // the first step alone, so that the file can be brought to other hosts
};

// With `cipher` from now on, else with the one of before. kUnsupported where this processor has it
// not.
Result<KeyRotation> rotate_master_key(AccessStore& store, RotateHow how,
                                      std::optional<Cipher> cipher, const std::string& actor);

}  // namespace casdisk
