#include <gtest/gtest.h>

#include "nbd/cli/arguments.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

const Syntax kSyntax = {.positionals = {{"SRC"}, {"NAME", false}},
                        .options = {{"format", "FORMAT", "the format"},
                                    {"size", "SIZE", "the size"},
                                    {"force", "", "do it"}},
                        .about = "About.",
                        .examples = "  casdisk x\n"};

Result<Arguments> parse(const std::vector<std::string>& words) {
  return parse_arguments("import", kSyntax, words);
}

std::string message(const std::vector<std::string>& words) {
  auto parsed = parse(words);
  return parsed.ok() ? "it succeeded" : describe(parsed.error());
}

TEST(CliArguments, CommandStandsBeforeOrAfterGlobalOptions) {
  for (auto words : std::vector<std::vector<std::string>>{
           {"import", "--store", "/s", "a"},
           {"--store", "/s", "import", "a"},
           {"--json", "--store=/s", "import", "a"},
           {"--quiet", "--io", "posix", "import", "a", "--cache", "1M"}}) {
    CommandLine line = split_command(words);
    EXPECT_EQ(line.command, "import");
    auto parsed = parse(line.words);
    ASSERT_OK(parsed);
    ASSERT_EQ(parsed.value().positional_count(), 1u);
    EXPECT_EQ(parsed.value().positional(0), "a");
  }
  EXPECT_EQ(split_command({"--json", "--help"}).command, "");
  EXPECT_EQ(split_command({}).command, "");
}

TEST(CliArguments, SomeMayBeGivenMoreThanOnce) {
  const Syntax several = {.positionals = {{"DISK"}, {"MORE", false, true}},
                          .options = {{"attach", "NAME=FILE", "", true}, {"group", "NAME", ""}}};
  auto parsed = parse_arguments("checkpoint", several,
                                {"a", "--attach", "x=1", "b", "--attach=y=2", "c", "--group", "g"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed.value().texts("attach"), (std::vector<std::string>{"x=1", "y=2"}));
  EXPECT_EQ(parsed.value().texts("group"), std::vector<std::string>{"g"});
  EXPECT_TRUE(parsed.value().texts("label").empty());
  EXPECT_EQ(parsed.value().positional_count(), 3u);
  EXPECT_FAULT(parse_arguments("checkpoint", several, {"a", "--group", "g", "--group", "h"}),
               Fault::kInvalid);
  EXPECT_EQ(synopsis("checkpoint", several), "checkpoint DISK [MORE] [OPTION...]");
}

TEST(CliArguments, OptionsAndPositionalsInAnyOrder) {
  auto parsed = parse({"a", "--format=raw", "b", "--force"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed.value().text("format"), "raw");
  EXPECT_TRUE(parsed.value().has("force"));
  EXPECT_FALSE(parsed.value().has("size"));
  EXPECT_EQ(parsed.value().text("size"), std::nullopt);
  EXPECT_EQ(parsed.value().positional(1), "b");
}

TEST(CliArguments, DashIsAnArgumentAndTwoDashesEndTheOptions) {
  auto parsed = parse({"-", "--", "--name"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed.value().positional(0), "-");
  EXPECT_EQ(parsed.value().positional(1), "--name");
}

TEST(CliArguments, HelpNeedsNoPositionals) {
  for (const char* help : {"--help", "-h"}) {
    auto parsed = parse({help});
    ASSERT_OK(parsed);
    EXPECT_TRUE(parsed.value().has("help"));
  }
}

TEST(CliArguments, MistakesAreNamed) {
  EXPECT_FAULT(parse({"a", "--fromat", "raw"}), Fault::kInvalid);
  EXPECT_NE(message({"a", "--fromat", "raw"}).find("did you mean --format?"), std::string::npos);
  EXPECT_EQ(message({"a", "--zzzzzzzz"}).find("did you mean"), std::string::npos);
  EXPECT_NE(message({}).find("missing SRC"), std::string::npos);
  EXPECT_NE(message({"a", "b", "c"}).find("3 arguments are too many"), std::string::npos);
  EXPECT_NE(message({"a", "--format", "x", "--format", "y"}).find("twice"), std::string::npos);
  EXPECT_NE(message({"a", "--format"}).find("format"), std::string::npos);
  EXPECT_NE(message({"a", "--force=yes"}).find("force"), std::string::npos);
  // What is a prefix now may be ambiguous with the next option.
  EXPECT_NE(message({"a", "--form", "raw"}).find("unknown option --form"), std::string::npos);
}

TEST(CliArguments, SizesAndNumbersAreChecked) {
  auto parsed = parse({"a", "--size", "10G", "--format", "12"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed.value().size("size").value(), uint64_t(10) << 30);
  EXPECT_EQ(parsed.value().number("format", 1, 12).value(), 12u);
  EXPECT_FAULT(parsed.value().number("format", 1, 11), Fault::kInvalid);
  EXPECT_FAULT(parsed.value().number("format", 13, 20), Fault::kInvalid);
  EXPECT_FAULT(parsed.value().number("size", 1, 12), Fault::kInvalid);
  EXPECT_EQ(parsed.value().number("force", 1, 2).value(), std::nullopt);
  auto wrong = parse({"a", "--size", "ten"});
  ASSERT_OK(wrong);
  EXPECT_FAULT(wrong.value().size("size"), Fault::kInvalid);
}

TEST(CliArguments, ClosestForgivesASlip) {
  const std::vector<std::string> names = {"import", "export", "ls", "log", "checkpoint"};
  EXPECT_EQ(closest("improt", names), "import");
  EXPECT_EQ(closest("exprt", names), "export");
  EXPECT_EQ(closest("check", names), "checkpoint");
  EXPECT_EQ(closest("frobnicate", names), std::nullopt);
  EXPECT_EQ(closest("", names), std::nullopt);
}

TEST(CliArguments, HelpHasAllThatTheSyntaxSays) {
  std::string text = help_text("import", "make a disk", kSyntax);
  for (const char* part : {"usage: casdisk import SRC [NAME] [OPTION...]", "About.",
                           "--format FORMAT", "--store DIR", "exit codes:", "casdisk x"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace casdisk
