#include "nbd/auth/access_records.h"

#include <gtest/gtest.h>

#include "cas/os/hex.h"
#include "nbd/auth/access_keys.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

string hex(std::string_view bytes) { return hex_of(as_bytes(bytes)); }

AccessId id_of(uint8_t first) {
  AccessId id;
  for (size_t i = 0; i < id.bytes.size(); i++) id.bytes[i] = uint8_t(first + i);
  return id;
}

UserRecord user() {
  return {.id = id_of(0x10),
          .name = "al",
          .is_disabled = true,
          .uid = 1000,
          .created_ms = 0x0102,
          .password_hash = "$a",
          .psk = string(kPskBytes, '\x7f'),
          .grants = {{3, "b*"}}};
}

TokenRecord token() {
  TokenRecord record{.id = id_of(0x20),
                     .user = id_of(0x10),
                     .is_revoked = true,
                     .created_ms = 5,
                     .expires_ms = 6,
                     .label = "ci",
                     .grants = {{15, "*"}}};
  record.hash.fill(0xee);
  return record;
}

// docs/FORMAT.md has these.
TEST(AccessRecords, AUsersBytes) {
  EXPECT_EQ(hex(encode_user(user())),
            "01"
            "101112131415161718191a1b1c1d1e1f"
            "03"
            "e8030000"
            "0201000000000000"
            "0200616c"
            "02002461"
            "20007f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f"
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f"
            "01"
            "03"
            "0200622a");
  auto back = decode_user(encode_user(user()));
  ASSERT_OK(back);
  EXPECT_EQ(back.value().id, user().id);
  EXPECT_EQ(back.value().name, "al");
  EXPECT_TRUE(back.value().is_disabled);
  EXPECT_EQ(back.value().uid, 1000u);
  EXPECT_EQ(back.value().created_ms, 0x0102u);
  EXPECT_EQ(back.value().password_hash, "$a");
  EXPECT_EQ(back.value().psk, user().psk);
  EXPECT_EQ(back.value().grants, user().grants);
}

TEST(AccessRecords, ATokensBytes) {
  EXPECT_EQ(hex(encode_token(token())),
            "01"
            "202122232425262728292a2b2c2d2e2f"
            "101112131415161718191a1b1c1d1e1f"
            "01"
            "0500000000000000"
            "0600000000000000"
            "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
            "02006369"
            "01"
            "0f"
            "01002a");
  auto back = decode_token(encode_token(token()));
  ASSERT_OK(back);
  EXPECT_EQ(back.value().user, token().user);
  EXPECT_TRUE(back.value().is_revoked);
  EXPECT_EQ(back.value().expires_ms, 6u);
  EXPECT_EQ(back.value().hash, token().hash);
  EXPECT_EQ(back.value().label, "ci");
  EXPECT_EQ(back.value().grants, token().grants);
}

TEST(AccessRecords, WhatIsStoredAsItIs) {
  EXPECT_EQ(hex(encode_failures({5, 7})),
            "01"
            "05000000"
            "0700000000000000");
  EXPECT_EQ(hex(encode_time(258)), "0201000000000000");
  EXPECT_EQ(
      hex(encode_audit({.who = "a", .what = "b", .on = "", .outcome = "c", .left_out_count = 9})),
      "01"
      "09000000"
      "010061"
      "010062"
      "0000"
      "010063");
  EXPECT_EQ(decode_failures(encode_failures({5, 7})).value().count, 5u);
  EXPECT_EQ(decode_time(encode_time(258)).value(), 258u);
  const string longer(kMaxAuditTextBytes + 10, 'x');
  auto cut = decode_audit(encode_audit({.who = longer, .what = "w", .on = longer, .outcome = ""}));
  ASSERT_OK(cut);
  EXPECT_EQ(cut.value().who, string(kMaxAuditTextBytes, 'x'));
  EXPECT_EQ(cut.value().on, string(kMaxAuditTextBytes, 'x'));
}

template <typename Decode>
void refuses_every_cut(const string& bytes, Decode decode) {
  ASSERT_OK(decode(bytes));
  for (size_t size = 0; size < bytes.size(); size++) {
    EXPECT_FAULT(decode(bytes.substr(0, size)), Fault::kDamaged) << size;
  }
  EXPECT_FAULT(decode(bytes + '\0'), Fault::kDamaged);
  EXPECT_FAULT(decode("\x02" + bytes.substr(1)), Fault::kDamaged) << "an unknown form";
}

TEST(AccessRecords, NothingThatIsCutOrLongerPasses) {
  refuses_every_cut(encode_user(user()), decode_user);
  refuses_every_cut(encode_token(token()), decode_token);
  refuses_every_cut(encode_failures({5, 7}), decode_failures);
  refuses_every_cut(encode_audit({.who = "a", .what = "b", .on = "c", .outcome = "d"}),
                    decode_audit);
  for (size_t size = 0; size < 12; size++) {
    if (size == 8) continue;
    EXPECT_FAULT(decode_time(string(size, 'x')), Fault::kDamaged);
  }
}

TEST(AccessRecords, ImpossibleFieldsAreDamage) {
  const auto damaged_user = [](const auto& change) {
    UserRecord record = user();
    change(record);
    EXPECT_FAULT(decode_user(encode_user(record)), Fault::kDamaged);
  };
  damaged_user([](UserRecord& record) { record.name = "a:b"; });
  damaged_user([](UserRecord& record) { record.name = ""; });
  damaged_user([](UserRecord& record) { record.name = string(kMaxUserNameBytes + 1, 'a'); });
  damaged_user([](UserRecord& record) { record.psk = "short"; });
  damaged_user([](UserRecord& record) { record.password_hash = string("a\0b", 3); });
  damaged_user(
      [](UserRecord& record) { record.password_hash = string(kMaxPasswordHashBytes + 1, 'a'); });
  damaged_user([](UserRecord& record) { record.grants = {{0, "a"}}; });
  damaged_user([](UserRecord& record) { record.grants = {{16, "a"}}; });
  damaged_user([](UserRecord& record) { record.grants = {{1, "a/b"}}; });
  damaged_user([](UserRecord& record) {
    record.grants = std::vector<Grant>(kMaxGrants + 1, Grant{1, "a"});
  });
  TokenRecord labelled = token();
  labelled.label = "a\nb";
  EXPECT_FAULT(decode_token(encode_token(labelled)), Fault::kDamaged);
  string flags = encode_user(user());
  flags[17] = 4;
  EXPECT_FAULT(decode_user(flags), Fault::kDamaged);
  flags[17] = 1;  // no uid, and yet one
  EXPECT_FAULT(decode_user(flags), Fault::kDamaged);
}

TEST(AccessRecords, NamesStandInFilesAndKeys) {
  for (const char* name : {"a", "alice", "7of9", "a.b-c_d", "A"}) {
    EXPECT_OK(check_user_name(name)) << name;
  }
  for (const string& name :
       {string(), string(".a"), string("-a"), string("a:b"), string("a@b"), string("a b"),
        string("a/b"), string("a\nb"), string("\xc3\xa4"), string(kMaxUserNameBytes + 1, 'a')}) {
    EXPECT_FAULT(check_user_name(name), Fault::kInvalid) << name;
  }
  EXPECT_OK(check_user_name(string(kMaxUserNameBytes, 'a')));
  EXPECT_EQ(hex(access_key::user(id_of(0))), "02000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(hex(access_key::user_name("al")), "03616c0001");
  EXPECT_EQ(hex(access_key::user_uid(1000)), "0400000000000003e8");
  EXPECT_TRUE(
      access_key::token_of(id_of(1), id_of(2)).starts_with(access_key::tokens_of(id_of(1))));
  EXPECT_LT(access_key::event(255, "zzzzzzzz"), access_key::event(256, "aaaaaaaa"));
}

TEST(AccessRecords, IdsAreRandomAndReadInHex) {
  EXPECT_NE(AccessId::make(), AccessId::make());
  const AccessId id = AccessId::make();
  ASSERT_TRUE(AccessId::parse(id.hex()));
  EXPECT_EQ(*AccessId::parse(id.hex()), id);
  EXPECT_FALSE(AccessId::parse(""));
  EXPECT_FALSE(AccessId::parse(id.hex() + "00"));
  EXPECT_FALSE(AccessId::parse(id.hex().substr(1)));
  EXPECT_FALSE(AccessId::parse("x" + id.hex().substr(1)));
}

}  // namespace
}  // namespace casdisk
