#include <gtest/gtest.h>

#include <cerrno>

#include "nbd/cli/console.h"
#include "nbd/cli/exit.h"

namespace casdisk {
namespace {

TEST(CliConsole, JsonIsOneLineInTheOrderWritten) {
  EXPECT_EQ(json_text({{"b", 1}, {"a", "x\n\"\\"}, {"c", nullptr}}),
            "{\"b\":1,\"a\":\"x\\n\\\"\\\\\",\"c\":null}\n");
}

TEST(CliConsole, JsonTakesBytesThatAreNoText) {
  EXPECT_EQ(json_text({{"path", "/a\xff/b"}}), "{\"path\":\"/a\xef\xbf\xbd/b\"}\n");
  EXPECT_EQ(json_text({{"path", std::string("\x01\0", 2)}}), "{\"path\":\"\\u0001\\u0000\"}\n");
}

TEST(CliConsole, AnswerIsTextOrJson) {
  for (bool json : {false, true}) {
    testing::internal::CaptureStdout();
    Console console({.json = json});
    console.answer("text\n", {{"key", 1}});
    EXPECT_TRUE(console.finish().ok());
    EXPECT_EQ(testing::internal::GetCapturedStdout(), json ? "{\"key\":1}\n" : "text\n");
  }
}

TEST(CliConsole, FailureIsTextOnStderrAndJsonOnStdout) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Console console({.json = true});
  console.fail(Error{Fault::kIo, EPIPE, "disk a"}, 3);
  EXPECT_TRUE(console.finish().ok());
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "{\"error\":\"disk a: Broken pipe\",\"exit\":3}\n");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "casdisk: disk a: Broken pipe\n");
}

TEST(CliConsole, QuietDropsNotes) {
  testing::internal::CaptureStderr();
  Console({.quiet = true}).note("no");
  Console({}).note("yes");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "casdisk: yes\n");
}

TEST(CliExit, EveryFaultHasItsCode) {
  auto code = [](Fault fault) { return exit_code(Error{fault, 0, ""}); };
  for (Fault fault : {Fault::kNotFound, Fault::kExists, Fault::kDiffers}) EXPECT_EQ(code(fault), 1);
  EXPECT_EQ(code(Fault::kInvalid), 2);
  for (Fault fault :
       {Fault::kNoSpace, Fault::kIo, Fault::kDamaged, Fault::kPoisoned, Fault::kUnsupported}) {
    EXPECT_EQ(code(fault), 3);
  }
  EXPECT_EQ(code(Fault::kBusy), 4);
  EXPECT_EQ(exit_code(Error{Fault::kIo, EINTR, "stopped"}), 130);
}

}  // namespace
}  // namespace casdisk
