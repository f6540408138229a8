#include <gtest/gtest.h>

#include "nbd/cli/command_table.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

Syntax syntax() { return {}; }
Result<int> run(Session&, const Arguments&) { return 0; }

constexpr Command kParts[] = {{"get", "read a record", syntax, run},
                              {"put", "write a record", syntax, run}};
std::span<const Command> parts() { return kParts; }

constexpr Command kTable[] = {{"ls", "list", syntax, run},
                              {"kv", "records", nullptr, nullptr, parts}};

Result<ChosenCommand> choose(std::vector<std::string> words) {
  return choose_command(kTable, split_command(std::move(words)));
}

std::string message(std::vector<std::string> words) {
  auto chosen = choose(std::move(words));
  return chosen.ok() ? "it succeeded" : describe(chosen.error());
}

TEST(CliCommandTable, ACommandOrAPartOfOne) {
  auto alone = choose({"--json", "ls", "get"});
  ASSERT_OK(alone);
  EXPECT_EQ(alone.value().name, "ls");
  EXPECT_EQ(alone.value().command, &kTable[0]);
  EXPECT_EQ(alone.value().words, (std::vector<std::string>{"--json", "get"}));
  auto part = choose({"--store", "s", "kv", "--json", "put", "get", "--x"});
  ASSERT_OK(part);
  EXPECT_EQ(part.value().name, "kv put");
  EXPECT_EQ(part.value().command, &kParts[1]);
  EXPECT_EQ(part.value().words, (std::vector<std::string>{"--store", "s", "--json", "get", "--x"}));
}

TEST(CliCommandTable, WithoutAPartItIsTheWhole) {
  auto whole = choose({"kv", "--help"});
  ASSERT_OK(whole);
  EXPECT_EQ(whole.value().name, "kv");
  EXPECT_EQ(whole.value().command, &kTable[1]);
  EXPECT_EQ(whole.value().words, std::vector<std::string>{"--help"});
}

TEST(CliCommandTable, WhatIsUnknownIsNamedWithWhatIsNear) {
  EXPECT_FAULT(choose({"kw"}), Fault::kInvalid);
  EXPECT_EQ(message({"kw", "get"}),
            "unknown command \"kw\", did you mean kv?; `casdisk --help` lists them");
  EXPECT_EQ(message({"kv", "gett"}),
            "unknown command \"kv gett\", did you mean kv get?; `casdisk kv --help` lists them");
}

TEST(CliCommandTable, ItsHelpListsTheParts) {
  const std::string text = parts_text(kTable[1]);
  EXPECT_NE(text.find("usage: casdisk kv COMMAND"), std::string::npos) << text;
  EXPECT_NE(text.find("commands:\n  get         read a record\n  put "), std::string::npos) << text;
  EXPECT_NE(text.find("--store DIR"), std::string::npos) << text;
}

}  // namespace
}  // namespace casdisk
