#include "nbd/auth/crypto.h"

#include <sodium.h>

#include "cas/os/result.h"

namespace casdisk {
namespace {

static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == kTagBytes &&
              crypto_aead_aes256gcm_ABYTES == kTagBytes);
static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32 &&
              crypto_aead_aes256gcm_KEYBYTES == 32);

// Once for the process; libsodium picks implementations and opens its source of randomness.
void begin() {
  static const bool is_ready = sodium_init() >= 0;
  CHECK(is_ready);
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

void wipe(std::span<std::byte> secret) { sodium_memzero(secret.data(), secret.size()); }

void wipe(std::string& secret) {
  sodium_memzero(secret.data(), secret.size());
  secret.clear();
}

void fill_random(std::span<uint8_t> bytes) {
  begin();
  randombytes_buf(bytes.data(), bytes.size());
}

KeyedHash keyed_hash(const SecretKey& key, std::span<const uint8_t> bytes) {
  begin();
  KeyedHash hash;
  crypto_generichash(hash.data(), hash.size(), bytes.data(), bytes.size(), key.bytes().data(),
                     key.bytes().size());
  return hash;
}

bool equal_in_constant_time(std::span<const uint8_t, 32> a, std::span<const uint8_t, 32> b) {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view cipher_name(Cipher cipher) {
  return cipher == Cipher::kAes256Gcm ? "aes-256-gcm" : "xchacha20-poly1305";
}

std::optional<Cipher> cipher_from_name(std::string_view name) {
  for (const Cipher cipher : {Cipher::kXChaCha20Poly1305, Cipher::kAes256Gcm}) {
    if (name == cipher_name(cipher)) return cipher;
  }
  return std::nullopt;
}

bool is_available(Cipher cipher) {
  begin();
  return cipher == Cipher::kXChaCha20Poly1305 || crypto_aead_aes256gcm_is_available() == 1;
}

size_t nonce_bytes(Cipher cipher) {
  return cipher == Cipher::kAes256Gcm ? crypto_aead_aes256gcm_NPUBBYTES
                                      : crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
}

std::string encrypt(Cipher cipher, const SecretKey& key, std::string_view nonce,
                    std::string_view associated, std::string_view plain) {
  CHECK(is_available(cipher) && nonce.size() == nonce_bytes(cipher));
  const auto run = cipher == Cipher::kAes256Gcm ? crypto_aead_aes256gcm_encrypt
                                                : crypto_aead_xchacha20poly1305_ietf_encrypt;
  std::string encrypted(plain.size() + kTagBytes, '\0');
  run(bytes_of(encrypted), nullptr, bytes_of(plain), plain.size(), bytes_of(associated),
      associated.size(), nullptr, bytes_of(nonce), key.bytes().data());
  return encrypted;
}

std::optional<std::string> decrypt(Cipher cipher, const SecretKey& key, std::string_view nonce,
                                   std::string_view associated, std::string_view encrypted) {
  if (!is_available(cipher) || nonce.size() != nonce_bytes(cipher) ||
      encrypted.size() < kTagBytes) {
    return std::nullopt;
  }
  const auto run = cipher == Cipher::kAes256Gcm ? crypto_aead_aes256gcm_decrypt
                                                : crypto_aead_xchacha20poly1305_ietf_decrypt;
  std::string plain(encrypted.size() - kTagBytes, '\0');
  if (run(bytes_of(plain), nullptr, nullptr, bytes_of(encrypted), encrypted.size(),
          bytes_of(associated), associated.size(), bytes_of(nonce), key.bytes().data()) != 0) {
    wipe(plain);
    return std::nullopt;
  }
  return plain;
}

std::optional<std::string> argon2id(std::string_view password, unsigned long long passes,
                                    size_t memory_bytes) {
  begin();
  std::array<char, crypto_pwhash_STRBYTES> text = {};
  if (crypto_pwhash_str_alg(text.data(), password.data(), password.size(), passes, memory_bytes,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return std::nullopt;
  }
  return std::string(text.data());
}

bool argon2id_matches(const std::string& hash, std::string_view password) {
  begin();
  return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

bool argon2id_is_of(const std::string& hash, unsigned long long passes, size_t memory_bytes) {
  begin();
  return crypto_pwhash_str_needs_rehash(hash.c_str(), passes, memory_bytes) == 0;
}

}  // namespace casdisk
