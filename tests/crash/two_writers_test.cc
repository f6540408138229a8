// Several writers of one store at once: after each operation chance says whose process goes on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "tests/crash/lane.h"
#include "tests/crash/options.h"
#include "tests/crash/recovery.h"

namespace casdisk {
namespace {

constexpr unsigned kRounds = 3;
constexpr unsigned kStepsOfRound = 25;
constexpr uint64_t kChangesOfRound = 900;  // about

struct Counts {
  Totals totals;
  uint64_t passes = 0;
};

class Game {
 public:
  Game(SimulatedComputer& base, uint64_t seed, Counts& counts)
      : computer_(base.copy(seed)), dice_(seed), counts_(counts) {
    computer_->trace(crash_options().traces);
  }
  ~Game() { counts_.totals.add(computer_->counts()); }
  Game(const Game&) = delete;
  Game& operator=(const Game&) = delete;

  // Two or three lanes, with all disks that there are. The failure, if there was one.
  std::string round(const Accident& accident);
  Dice& dice() { return dice_; }

 private:
  void deal(std::vector<Model>& hands, Board& board);

  const std::unique_ptr<SimulatedComputer> computer_;
  Dice dice_;
  Counts& counts_;
  Model model_;
  unsigned round_count_ = 0;
};

void Game::deal(std::vector<Model>& hands, Board& board) {
  for (const auto& [name, disk] : model_.disks) {
    hands[dice_() % hands.size()].disks.emplace(name, disk);
    board.add(name, disk);
  }
}

std::string Game::round(const Accident& accident) {
  Board board;
  board.planned = accident.crash;
  std::vector<Model> hands(2 + dice_() % 2);
  deal(hands, board);
  round_count_++;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::function<void()>> bodies;
  for (Model& hand : hands) {
    const std::string name = fmt::format("{}{}.", char('a' + lanes.size()), round_count_);
    lanes.push_back(
        std::make_unique<Lane>(*computer_, board, counts_.totals, dice_(), name, std::move(hand)));
    bodies.push_back([lane = lanes.back().get()] { lane->play(kStepsOfRound); });
  }
  constexpr uint64_t kPaces[] = {2, 6, 30};
  Turns turns(dice_(), kPaces[dice_() % std::size(kPaces)]);
  if (accident.change > 0) {
    computer_->crash_at(accident.change, accident.crash, accident.moment);
    counts_.totals.crash_points++;
  }
  computer_->take_turns(&turns);
  turns.run(bodies);
  computer_->take_turns(nullptr);
  counts_.passes += turns.pass_count();
  if (!board.failure.empty()) return board.failure;
  Recovery recovery{computer_->has_crashed() && accident.crash == Crash::kPowerFails,
                    unsigned(dice_() % 4)};
  if (!recovery.after_power_cut && one_of(dice_, 1, 3)) {
    computer_->cut_power();
    recovery.after_power_cut = true;
  }
  computer_->end_processes();
  auto found = recover(*computer_, together(lanes), recovery, counts_.totals);
  if (!found.ok()) return "after all: " + describe(found.error());
  model_ = std::move(found).value();
  return "";
}

Accident draw_accident(Dice& dice) {
  return {1 + dice() % kChangesOfRound,
          one_of(dice, 1, 2) ? Crash::kPowerFails : Crash::kProcessDies, Moment(dice() % 3)};
}

std::string play_seed(SimulatedComputer& base, uint64_t seed, Counts& counts) {
  Game game(base, seed, counts);
  for (unsigned i = 0; i < kRounds; i++) {
    std::string failure = game.round(draw_accident(game.dice()));
    if (!failure.empty()) return fmt::format("round {}: {}", i + 1, failure);
  }
  return "";
}

TEST(TwoWriters, Accidents) {
  using Clock = std::chrono::steady_clock;
  constexpr uint64_t kUsualCount = 120;
  Counts counts;
  const CrashOptions& options = crash_options();
  auto base = computer_with_store(1);
  const uint64_t count = options.seed_count > 0 ? options.seed_count : kUsualCount;
  const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
  for (uint64_t i = 0; options.seconds > 0 ? Clock::now() < until : i < count; i++) {
    const uint64_t seed = options.first_seed + i;
    const std::string failure = play_seed(*base, seed, counts);
    ASSERT_EQ(failure, "") << fmt::format("replay with --seed {} --seeds 1", seed);
  }
  std::printf("two writers: %s; the turn changed %llu times\n", counts.totals.text().c_str(),
              static_cast<unsigned long long>(counts.passes));
}

TEST(TwoWriters, TheSameSeedIsTheSameRun) {
  auto base = computer_with_store(1);
  Counts once, again;
  EXPECT_EQ(play_seed(*base, 7, once), "");
  EXPECT_EQ(play_seed(*base, 7, again), "");
  EXPECT_EQ(once.totals.text(), again.totals.text());
  EXPECT_EQ(once.passes, again.passes);
}

}  // namespace
}  // namespace casdisk
