// Generator: the next step of a long script, drawn for the store as the model has it.
#pragma once

#include <string>

#include "tests/crash/model.h"

namespace casdisk {

class Generator {
 public:
  // Names begin with `prefix`.
  explicit Generator(uint64_t seed, std::string prefix = "n")
      : dice_(seed), prefix_(std::move(prefix)) {}

  Step next(const Model& model);
  std::string fresh_name();
  Dice& dice() { return dice_; }

 private:
  Step request(Action action, const std::string& disk, uint64_t size_bytes);
  Step of_checkpoint(Action action, const std::string& disk, const DiskModel& model);

  Dice dice_;
  const std::string prefix_;
  uint64_t name_count_ = 0;
};

}  // namespace casdisk
