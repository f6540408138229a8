// LayersGate: the layers that requests resolve through, and the gate in front of the active
// generation.
//
// A read takes the layers and keeps them for as long as it runs. A write enters: it is counted in
// the generation that was active at that moment until its Inside goes. Whoever sets new layers
// first and drains the old generation then knows that nobody writes to it any more. hold() makes
// writes wait in front of the gate, so that layers can be exchanged with none inside; it has a
// deadline, so that no guest waits for somebody who has died. Safe to call from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <optional>
#include <shared_mutex>

#include "index/layers.h"

namespace casdisk {

class LayersGate {
 public:
  using Clock = std::chrono::steady_clock;

  // A write that is inside the active generation.
  class Inside {
   public:
    explicit Inside(std::shared_ptr<const Layers> layers) : layers_(std::move(layers)) {}
    Inside(Inside&&) = default;
    Inside& operator=(Inside&&) = delete;
    ~Inside() {
      if (layers_) generation().leave();
    }
    const Layers& layers() const { return *layers_; }
    Generation& generation() const { return *layers_->generations.front(); }

   private:
    std::shared_ptr<const Layers> layers_;
  };

  std::shared_ptr<const Layers> layers() const;
  void set(Layers layers);

  // Waits while the gate is held. Nothing when no generation is active.
  std::optional<Inside> enter();

  // Which hold; 0 is none.
  using Hold = uint64_t;
  // From now until release(), set_held() or the deadline nobody enters. Takes the place of a hold
  // that lasts, which is over then for whoever made it.
  Hold hold(Clock::time_point deadline);
  bool is_held() const;
  // As set(), then release(). False, and nothing is set, when that hold is over.
  bool set_held(Hold hold, Layers layers);
  void release(Hold hold);

 private:
  bool lasts() const { return Clock::now() < held_until_; }

  // Guarded by mutex_.
  mutable std::shared_mutex mutex_;
  std::condition_variable_any released_;
  std::shared_ptr<const Layers> layers_;
  Clock::time_point held_until_ = Clock::time_point::min();
  Hold last_hold_ = 0;
};

}  // namespace casdisk
