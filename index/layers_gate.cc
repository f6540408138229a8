#include "index/layers_gate.h"

namespace casdisk {

std::shared_ptr<const Layers> LayersGate::layers() const {
  std::shared_lock lock(mutex_);
  return layers_;
}

void LayersGate::set(Layers layers) {
  auto fresh = std::make_shared<const Layers>(std::move(layers));
  std::unique_lock lock(mutex_);
  layers_ = std::move(fresh);
}

// Exchanging the layers takes the mutex alone: whoever saw a generation as active is counted in it
// by then.
std::optional<LayersGate::Inside> LayersGate::enter() {
  std::shared_lock lock(mutex_);
  while (held_until_ != Clock::time_point::min() && lasts()) {
    const auto until = held_until_;
    released_.wait_until(lock, until);
  }
  if (!layers_->active) return std::nullopt;
  layers_->generations.front()->enter();
  return Inside(layers_);
}

LayersGate::Hold LayersGate::hold(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  held_until_ = deadline;
  return ++last_hold_;
}

bool LayersGate::is_held() const {
  std::shared_lock lock(mutex_);
  return lasts();
}

bool LayersGate::set_held(Hold hold, Layers layers) {
  auto fresh = std::make_shared<const Layers>(std::move(layers));
  {
    std::unique_lock lock(mutex_);
    if (hold != last_hold_ || !lasts()) return false;
    layers_ = std::move(fresh);
    held_until_ = Clock::time_point::min();
  }
  released_.notify_all();
  return true;
}

void LayersGate::release(Hold hold) {
  {
    std::unique_lock lock(mutex_);
    if (hold != last_hold_) return;
    held_until_ = Clock::time_point::min();
  }
  released_.notify_all();
}

}  // namespace casdisk
