// AllocationBound: while it lives, the thread must not hold more of the heap than a bound.
//
// "Every decoder bounds its allocations before it believes a length": this is what checks it.
// Counts what operator new gives (replaced in allocation_bound.cc); C libraries' own malloc is not
// counted.
#pragma once

#include <cstddef>

namespace casdisk {

class AllocationBound {
 public:
  // `most_bytes` on top of what is held now. Bounds nest, the inner one ends first.
  explicit AllocationBound(size_t most_bytes);
  ~AllocationBound();
  AllocationBound(const AllocationBound&) = delete;
  AllocationBound& operator=(const AllocationBound&) = delete;

 private:
  size_t outer_limit_bytes_;
};

}  // namespace casdisk
