#include "nbd/auth/envelope.h"

#include <gtest/gtest.h>

#include "cas/os/hex.h"
#include "nbd/auth/master_keys.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

constexpr std::string_view kRecordKey = "\x02record";
constexpr std::string_view kPlain = "what nobody else may read";

MasterKey master_key() { return MasterKeys::make().newest(); }

Result<string> opened(const MasterKey& master, std::string_view record_key,
                      std::string_view value) {
  TRY_ASSIGN(const Envelope envelope, parse_envelope(value));
  return open_envelope(master, record_key, envelope);
}

class EnvelopeOf : public testing::TestWithParam<Cipher> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam()))
      GTEST_SKIP() << "this processor has no " << cipher_name(GetParam());
  }
};

TEST_P(EnvelopeOf, OpensAsItWasMade) {
  const MasterKey master = master_key();
  for (const size_t bytes : {size_t(0), size_t(1), size_t(64), size_t(100'000)}) {
    const string plain(bytes, 'x');
    const string value = make_envelope(master, GetParam(), kRecordKey, plain);
    EXPECT_LE(value.size(), bytes + kMaxEnvelopeBytes);
    if (bytes >= 64) {
      EXPECT_EQ(value.find(plain.substr(0, 32)), string::npos);
    }
    auto back = opened(master, kRecordKey, value);
    ASSERT_OK(back);
    EXPECT_EQ(back.value(), plain);
    auto envelope = parse_envelope(value);
    ASSERT_OK(envelope);
    EXPECT_EQ(envelope.value().master_key, master.id);
    EXPECT_EQ(envelope.value().cipher, GetParam());
  }
}

TEST_P(EnvelopeOf, IsNotOpenedElsewhereOrByAnotherKey) {
  const MasterKey master = master_key();
  const string value = make_envelope(master, GetParam(), kRecordKey, kPlain);
  EXPECT_FAULT(opened(master, "\x02recore", value), Fault::kDamaged);
  EXPECT_FAULT(opened(master, "\x02recordx", value), Fault::kDamaged);
  EXPECT_FAULT(opened(master, "", value), Fault::kDamaged);
  MasterKey other = master_key();
  other.id = master.id;  // as if it were the one
  EXPECT_FAULT(opened(other, kRecordKey, value), Fault::kDamaged);
}

TEST_P(EnvelopeOf, NoBitOfItCanBeChangedAndNoneLeftOut) {
  const MasterKey master = master_key();
  const string value = make_envelope(master, GetParam(), kRecordKey, kPlain);
  for (size_t at = 0; at < value.size(); at++) {
    if (at >= 2 && at < 10) continue;  // the master key's id, with which no key is found
    string changed = value;
    changed[at] ^= 1;
    EXPECT_FALSE(opened(master, kRecordKey, changed).ok()) << at;
  }
  for (size_t bytes = 0; bytes < value.size(); bytes++) {
    EXPECT_FAULT(opened(master, kRecordKey, value.substr(0, bytes)), Fault::kDamaged) << bytes;
  }
  EXPECT_FAULT(opened(master, kRecordKey, value + "x"), Fault::kDamaged);
  string renamed = value;
  renamed[5] ^= 1;
  MasterKey same = master;
  same.id[3] ^= 1;
  EXPECT_FAULT(opened(same, kRecordKey, renamed), Fault::kDamaged) << "the header is authenticated";
}

TEST_P(EnvelopeOf, TheSameIsNeverTheSameTwice) {
  const MasterKey master = master_key();
  EXPECT_NE(make_envelope(master, GetParam(), kRecordKey, kPlain),
            make_envelope(master, GetParam(), kRecordKey, kPlain));
}

INSTANTIATE_TEST_SUITE_P(All, EnvelopeOf,
                         testing::Values(Cipher::kXChaCha20Poly1305, Cipher::kAes256Gcm),
                         [](const auto& given) {
                           return given.param == Cipher::kAes256Gcm ? "AesGcm" : "XChaCha";
                         });

// docs/FORMAT.md has this one.
TEST(Envelope, TheDocumentsExampleOpens) {
  auto keys =
      MasterKeys::parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n");
  ASSERT_OK(keys);
  const auto bytes = bytes_of_hex(
      "0101087930500517fe8baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa5e2e849a1c4f"
      "31801858bf0d3e01448bdb33a70d17208e7adb9e7820b540fdb346db723d6748614d3320ef69673f"
      "b1cbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbcf525436a54b695daa4591ac4d39"
      "5e0a62f59cded5");
  ASSERT_TRUE(bytes);
  const string value(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  auto plain = opened(keys.value().newest(), "\x02key", value);
  ASSERT_OK(plain);
  EXPECT_EQ(plain.value(), "plain");
}

}  // namespace
}  // namespace casdisk
