#include "tests/support/turns.h"

#include <gtest/gtest.h>

#include <string>

namespace casdisk {
namespace {

// What two bodies say that may lose their turn after each word.
std::string said(uint64_t seed, uint64_t one_in) {
  Turns turns(seed, one_in);
  std::string words;
  const auto body = [&](char word) {
    return [&turns, &words, word] {
      for (int i = 0; i < 20; i++) {
        words += word;
        turns.maybe_pass();
      }
    };
  };
  turns.run({body('a'), body('b')});
  return words;
}

TEST(Turns, TheSameSeedIsTheSameOrderAndAnotherOneAnother) {
  EXPECT_EQ(said(1, 3), said(1, 3));
  EXPECT_NE(said(1, 3), said(2, 3));
  EXPECT_EQ(said(1, 3).size(), 40u);
}

TEST(Turns, OneInOnePassesAlways) {
  const std::string words = said(5, 1);
  EXPECT_EQ(words.find("aa"), words.npos);
  EXPECT_EQ(words.find("bb"), words.npos);
}

TEST(Turns, WhoeverHoldsItsTurnKeepsIt) {
  Turns turns(1, 1);
  std::string words;
  const auto body = [&](char word) {
    return [&turns, &words, word] {
      const Turns::Hold hold(&turns);
      for (int i = 0; i < 5; i++) {
        words += word;
        turns.pass();
      }
    };
  };
  turns.run({body('a'), body('b')});
  EXPECT_TRUE(words == "aaaaabbbbb" || words == "bbbbbaaaaa") << words;
}

}  // namespace
}  // namespace casdisk
