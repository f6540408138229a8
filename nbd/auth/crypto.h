// The one door to libsodium: random bytes, keyed hashes, authenticated encryption, password hashes.
//
// Pure functions but for random bytes. Safe to call from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace casdisk {

// Overwrites what was secret, so that the compiler cannot leave it out.
void wipe(std::span<std::byte> secret);
void wipe(std::string& secret);

// A secret of a fixed size, wiped when it goes.
template <size_t kBytes>
class Secret {
 public:
  Secret() = default;
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { wipe(std::as_writable_bytes(std::span(bytes_))); }

  std::span<uint8_t, kBytes> bytes() { return bytes_; }
  std::span<const uint8_t, kBytes> bytes() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), kBytes}; }

 private:
  std::array<uint8_t, kBytes> bytes_ = {};
};
using SecretKey = Secret<32>;

// Wipes a string at the end of its scope.
class WipedAtEnd {
 public:
  explicit WipedAtEnd(std::string& secret) : secret_(secret) {}
  ~WipedAtEnd() { wipe(secret_); }
  WipedAtEnd(const WipedAtEnd&) = delete;
  WipedAtEnd& operator=(const WipedAtEnd&) = delete;

 private:
  std::string& secret_;
};

void fill_random(std::span<uint8_t> bytes);

// BLAKE2b-256 under a key: as good as random to whoever has not the key.
using KeyedHash = std::array<uint8_t, 32>;
KeyedHash keyed_hash(const SecretKey& key, std::span<const uint8_t> bytes);
// In a time that does not depend on where they differ.
bool equal_in_constant_time(std::span<const uint8_t, 32> a, std::span<const uint8_t, 32> b);

// Authenticated encryption. The numbers are those of stored records (docs/FORMAT.md).
enum class Cipher : uint8_t { kXChaCha20Poly1305 = 1, kAes256Gcm = 2 };

std::string_view cipher_name(Cipher cipher);
std::optional<Cipher> cipher_from_name(std::string_view name);
// Whether this processor can do it.
bool is_available(Cipher cipher);
// 24 or 12.
size_t nonce_bytes(Cipher cipher);
// What encryption adds.
inline constexpr size_t kTagBytes = 16;

// `associated` is authenticated and not contained. REQUIRES: is_available(), a nonce of
// nonce_bytes() that was never used with the key.
std::string encrypt(Cipher cipher, const SecretKey& key, std::string_view nonce,
                    std::string_view associated, std::string_view plain);
// Nothing: not what was encrypted, with that key, nonce and associated text.
std::optional<std::string> decrypt(Cipher cipher, const SecretKey& key, std::string_view nonce,
                                   std::string_view associated, std::string_view encrypted);

// Argon2id, as text with its cost and salt. Nothing: there is not enough memory.
std::optional<std::string> argon2id(std::string_view password, unsigned long long passes,
                                    size_t memory_bytes);
bool argon2id_matches(const std::string& hash, std::string_view password);
bool argon2id_is_of(const std::string& hash, unsigned long long passes, size_t memory_bytes);

}  // namespace casdisk
