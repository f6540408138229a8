// KV environments of a simulated computer: ordered maps, whose commits are all or nothing.
#include <algorithm>
#include <cerrno>

#include "tests/support/simulated_computer.h"

namespace casdisk {
namespace {

using LifePointer = SimulatedComputer::LifePointer;
using Call = SimulatedComputer::Call;
using Key = std::span<const std::byte>;

// What a transaction has changed: a value, or that there is none.
using Changes = std::map<Bytes, std::optional<Bytes>>;

Bytes copy_of(Key key) { return {key.begin(), key.end()}; }

class SimulatedTransaction : public LmdbWriter {
 public:
  explicit SimulatedTransaction(SimulatedTablePointer table) : table_(std::move(table)) {}

  Result<std::optional<Key>> get(Key key) override {
    const Bytes wanted = copy_of(key);
    if (auto changed = changes_.find(wanted); changed != changes_.end()) {
      return changed->second ? std::optional<Key>(*changed->second) : std::nullopt;
    }
    auto found = table_->find(wanted);
    return found != table_->end() ? std::optional<Key>(found->second) : std::nullopt;
  }

  Result<void> scan(Key prefix, Key from, const Visit& visit) override {
    const SimulatedTablePointer held =
        has_changes() ? std::make_shared<const SimulatedTable>(merged()) : table_;
    const SimulatedTable& now = *held;
    const Key start = std::ranges::lexicographical_compare(from, prefix) ? prefix : from;
    for (auto at = now.lower_bound(copy_of(start)); at != now.end(); ++at) {
      const Key key = at->first;
      if (key.size() < prefix.size() || !std::ranges::equal(key.first(prefix.size()), prefix))
        break;
      if (!visit(key, at->second)) break;
    }
    return {};
  }

  Result<uint64_t> count() override {
    return uint64_t(has_changes() ? merged().size() : table_->size());
  }

  Result<void> put(Key key, Key value) override {
    if (key.empty()) return Error{Fault::kInvalid, 0, "an empty key"};
    changes_[copy_of(key)] = copy_of(value);
    return {};
  }
  Result<bool> remove(Key key) override {
    TRY_ASSIGN(auto found, get(key));
    if (found) changes_[copy_of(key)] = std::nullopt;
    return found.has_value();
  }

  bool has_changes() const { return !changes_.empty(); }
  SimulatedTable merged() const {
    SimulatedTable now = *table_;
    for (const auto& [key, value] : changes_) {
      if (value) {
        now[key] = *value;
      } else {
        now.erase(key);
      }
    }
    return now;
  }

 private:
  const SimulatedTablePointer table_;
  Changes changes_;
};

class SimulatedEnvironment : public LmdbEnvironment {
 public:
  SimulatedEnvironment(SimulatedComputer& computer, LifePointer life, std::string path,
                       InodePointer inode, std::function<bool()> make_room)
      : computer_(computer),
        life_(std::move(life)),
        path_(std::move(path)),
        inode_(std::move(inode)),
        make_room_(std::move(make_room)) {}

  Result<void> view(const std::function<Result<void>(LmdbReader&)>& body) override {
    TRY(check_usable());
    TRY(computer_.operate(life_, Call::kRead, path_ + ": begin", [] { return Result<void>(); }));
    SimulatedTransaction transaction(inode_->table);
    return body(transaction);
  }

  Result<void> update(const std::function<Result<void>(LmdbWriter&)>& body) override {
    auto done = update_once(body);
    const bool is_full = !done.ok() && done.error().os_error == ENOSPC;
    if (!is_full || !make_room_ || !make_room_()) return done;
    return update_once(body);
  }

  Result<LmdbInfo> info() override { return LmdbInfo{}; }

  // Here nothing is ever unseen: a commit that was struck is there for all, or not at all.
  Result<void> catch_up() override {
    TRY(check_usable());
    return computer_.operate(life_, Call::kRead, path_ + ": catch up",
                             [] { return Result<void>(); });
  }

 private:
  Result<void> check_usable() const {
    if (!panicked_) return {};
    return Error{Fault::kPoisoned, 0, path_ + ": an earlier commit failed half-way"};
  }

  // Of all processes one at a time.
  Result<void> update_once(const std::function<Result<void>(LmdbWriter&)>& body) {
    TRY(check_usable());
    TRY(computer_.operate(life_, Call::kRead, path_ + ": begin", [] { return Result<void>(); }));
    const Turns::Hold alone(computer_.turns());
    SimulatedTransaction transaction(inode_->table);
    TRY(body(transaction));
    if (!transaction.has_changes()) return {};
    auto commit = [&]() -> Result<void> {
      inode_->table = std::make_shared<SimulatedTable>(transaction.merged());
      return {};
    };
    const auto commit_or_not = [&] {
      if (one_of(computer_.dice(), 1, 2)) (void)commit().ok();
    };
    bool was_struck = false;
    auto done = computer_.operate(life_, Call::kChange, path_ + ": commit", commit,
                                  [&] { was_struck = true; });
    if (done.ok() || !was_struck) return done;
    if (life_->is_over) {
      commit_or_not();
    } else if (done.error().os_error == EIO && one_of(computer_.dice(), 1, 2)) {
      panicked_ = true;
      commit_or_not();
    }
    return done;
  }

  SimulatedComputer& computer_;
  const LifePointer life_;
  const std::string path_;
  const InodePointer inode_;
  const std::function<bool()> make_room_;
  bool panicked_ = false;
};

}  // namespace

std::unique_ptr<LmdbEnvironment> make_simulated_environment(SimulatedComputer& computer,
                                                            LifePointer life, std::string path,
                                                            InodePointer inode,
                                                            std::function<bool()> make_room) {
  return std::make_unique<SimulatedEnvironment>(computer, std::move(life), std::move(path),
                                                std::move(inode), std::move(make_room));
}

}  // namespace casdisk
