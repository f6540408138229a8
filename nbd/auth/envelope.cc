#include "nbd/auth/envelope.h"

#include <algorithm>

namespace casdisk {
namespace {

constexpr uint8_t kForm = 1;
constexpr size_t kHeaderBytes = 10;
constexpr size_t kWrapNonceBytes = 24;
constexpr size_t kWrappedKeyBytes = 32 + kTagBytes;
// Many data keys are wrapped with one master key: that needs nonces that may be random.
constexpr Cipher kWrapCipher = Cipher::kXChaCha20Poly1305;

Error damaged(const char* what) {
  return Error{Fault::kDamaged, 0, std::string("encrypted record: ") + what};
}

std::string random_text(size_t bytes) {
  std::string text(bytes, '\0');
  fill_random({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  return text;
}

std::string header_of(const MasterKeyId& id, Cipher cipher) {
  std::string header;
  header += char(kForm);
  header += char(cipher);
  header.append(reinterpret_cast<const char*>(id.data()), id.size());
  return header;
}

// The header has one length, so that no two pairs give one text.
std::string associated(std::string_view header, std::string_view record_key) {
  return std::string(header) + std::string(record_key);
}

}  // namespace

Result<Envelope> parse_envelope(std::string_view value) {
  if (value.size() < kHeaderBytes) return damaged("it is cut off");
  if (uint8_t(value[0]) != kForm) return damaged("of an unknown form");
  Envelope envelope;
  envelope.cipher = Cipher(uint8_t(value[1]));
  if (envelope.cipher != Cipher::kXChaCha20Poly1305 && envelope.cipher != Cipher::kAes256Gcm) {
    return damaged("of an unknown cipher");
  }
  std::copy_n(value.begin() + 2, envelope.master_key.size(), envelope.master_key.begin());
  const size_t data_nonce_bytes = nonce_bytes(envelope.cipher);
  if (value.size() <
      kHeaderBytes + kWrapNonceBytes + kWrappedKeyBytes + data_nonce_bytes + kTagBytes) {
    return damaged("it is cut off");
  }
  const auto take = [&](size_t bytes) {
    const std::string_view part = value.substr(0, bytes);
    value.remove_prefix(bytes);
    return part;
  };
  envelope.header = take(kHeaderBytes);
  envelope.wrap_nonce = take(kWrapNonceBytes);
  envelope.wrapped_key = take(kWrappedKeyBytes);
  envelope.nonce = take(data_nonce_bytes);
  envelope.encrypted = value;
  return envelope;
}

std::string make_envelope(const MasterKey& master, Cipher cipher, std::string_view record_key,
                          std::string_view plain) {
  SecretKey data_key;
  fill_random(data_key.bytes());
  const std::string header = header_of(master.id, cipher);
  const std::string with = associated(header, record_key);
  const std::string wrap_nonce = random_text(kWrapNonceBytes);
  const std::string nonce = random_text(nonce_bytes(cipher));
  return header + wrap_nonce + encrypt(kWrapCipher, master.key, wrap_nonce, with, data_key.text()) +
         nonce + encrypt(cipher, data_key, nonce, with, plain);
}

Result<std::string> open_envelope(const MasterKey& master, std::string_view record_key,
                                  const Envelope& value) {
  CHECK(master.id == value.master_key);
  if (!is_available(value.cipher)) {
    return Error{Fault::kUnsupported, 0,
                 "encrypted record: this processor has no " +
                     std::string(cipher_name(value.cipher)) +
                     ": change the cipher where there is, `casdisk user rotate-key --cipher`"};
  }
  const std::string with = associated(value.header, record_key);
  auto key = decrypt(kWrapCipher, master.key, value.wrap_nonce, with, value.wrapped_key);
  if (!key) return damaged("it was changed, or is another record's");
  const WipedAtEnd wiped(*key);
  SecretKey data_key;
  std::ranges::copy(*key, data_key.bytes().begin());
  auto plain = decrypt(value.cipher, data_key, value.nonce, with, value.encrypted);
  if (!plain) return damaged("it was changed, or is another record's");
  return std::move(*plain);
}

}  // namespace casdisk
