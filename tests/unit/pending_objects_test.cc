#include "cas/pending_objects.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cas/os/bytes.h"

namespace casdisk {
namespace {

using Claim = PendingObjects::Claim;

const ChunkId kFirst = hash_of(as_bytes("first"));
const ChunkId kSecond = hash_of(as_bytes("second"));
const PackLocation kHere{1, 64, 100};
const PackLocation kThere{2, 64, 100};

TEST(PendingObjects, FromClaimToTable) {
  PendingObjects objects;
  EXPECT_EQ(objects.claim(kFirst), Claim::kMine);
  EXPECT_FALSE(objects.find(kFirst));
  objects.appended(kFirst, kHere);
  EXPECT_EQ(objects.find(kFirst)->location, kHere);
  EXPECT_EQ(objects.claim(kFirst), Claim::kPending);
  const auto batch = objects.pending();
  ASSERT_EQ(batch.size(), 1u);
  objects.registered(batch);
  EXPECT_FALSE(objects.find(kFirst));
  EXPECT_EQ(objects.count(), 0u);
}

TEST(PendingObjects, AClaimGivenUpIsFreeAgain) {
  PendingObjects objects;
  EXPECT_EQ(objects.claim(kFirst), Claim::kMine);
  objects.given_up(kFirst);
  EXPECT_EQ(objects.claim(kFirst), Claim::kMine);
  objects.settled(kFirst);
  EXPECT_EQ(objects.count(), 0u);
}

TEST(PendingObjects, OthersWaitForAClaim) {
  PendingObjects objects;
  ASSERT_EQ(objects.claim(kFirst), Claim::kMine);
  EXPECT_EQ(objects.claim(kSecond), Claim::kMine);  // does not concern the first
  std::atomic<bool> answered = false;
  std::thread other([&] {
    EXPECT_EQ(objects.claim(kFirst), Claim::kPending);
    answered = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(answered);
  objects.appended(kFirst, kHere);
  other.join();
}

TEST(PendingObjects, LostOnesAreNeitherPendingNorForgotten) {
  PendingObjects objects;
  for (const ChunkId& id : {kFirst, kSecond}) {
    ASSERT_EQ(objects.claim(id), Claim::kMine);
    objects.appended(id, kHere);
  }
  EXPECT_FALSE(objects.find(kFirst)->lost);
  objects.lose_all();
  EXPECT_TRUE(objects.find(kFirst)->lost);
  EXPECT_TRUE(objects.pending().empty());
  EXPECT_EQ(objects.lost().size(), 2u);
  EXPECT_EQ(objects.count(), 2u);
  ASSERT_EQ(objects.claim(kFirst), Claim::kMine);
  objects.appended(kFirst, kThere);
  EXPECT_EQ(objects.find(kFirst)->location, kThere);
  ASSERT_EQ(objects.lost().size(), 1u);
  EXPECT_EQ(objects.lost()[0].id, kSecond);
  ASSERT_EQ(objects.claim(kSecond), Claim::kMine);
  objects.settled(kSecond);
  EXPECT_TRUE(objects.lost().empty());
}

TEST(PendingObjects, OnlyTheCopyThatWasMeantIsRegisteredOrLost) {
  PendingObjects objects;
  ASSERT_EQ(objects.claim(kFirst), Claim::kMine);
  objects.appended(kFirst, kThere);
  const LocatedObject older[] = {{kFirst, kHere}};
  objects.registered(older);
  EXPECT_EQ(objects.find(kFirst)->location, kThere);
  objects.lose(kFirst, kHere);
  EXPECT_EQ(objects.find(kFirst)->location, kThere);
  EXPECT_FALSE(objects.find(kFirst)->lost);
  objects.lose(kFirst, kThere);
  EXPECT_TRUE(objects.find(kFirst)->lost);
  EXPECT_EQ(objects.lost().size(), 1u);
}

}  // namespace
}  // namespace casdisk
