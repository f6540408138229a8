// Generator: the next step of a long script, drawn for the store as the model has it.
#pragma once

#include <string>

#include "tests/crash/model.h"

namespace casdisk {

class Generator {
 public:
  explicit Generator(uint64_t seed) : dice_(seed) {}

  Step next(const Model& model);
  Dice& dice() { return dice_; }

 private:
  Step request(Action action, const std::string& disk, uint64_t size_bytes);
  Step of_checkpoint(Action action, const std::string& disk, const DiskModel& model);

  Dice dice_;
  uint64_t name_count_ = 0;
};

}  // namespace casdisk
