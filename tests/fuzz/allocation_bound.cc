#include "tests/fuzz/allocation_bound.h"

#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "cas/os/result.h"

namespace {

// Of this thread. Memory that another thread gives back makes it wrong: targets have one thread.
thread_local size_t held_bytes = 0;
thread_local size_t limit_bytes = SIZE_MAX;

void* counted(void* memory) {
  if (memory == nullptr) std::abort();  // a test has no use for std::bad_alloc
  held_bytes += malloc_usable_size(memory);
  CHECK(held_bytes <= limit_bytes);
  return memory;
}

void uncounted(void* memory) {
  if (memory == nullptr) return;
  held_bytes -= std::min(held_bytes, malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

#pragma GCC visibility push(default)  // libraries, and libFuzzer, are to use them too

void* operator new(size_t size) { return counted(std::malloc(std::max<size_t>(size, 1))); }
void* operator new[](size_t size) { return counted(std::malloc(std::max<size_t>(size, 1))); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return operator new[](size); }
void* operator new(size_t size, std::align_val_t alignment) {
  const size_t step = size_t(alignment);
  return counted(std::aligned_alloc(step, (std::max<size_t>(size, 1) + step - 1) / step * step));
}
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, size_t) noexcept { uncounted(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { uncounted(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { uncounted(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { uncounted(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { uncounted(memory); }

#pragma GCC visibility pop

namespace casdisk {

AllocationBound::AllocationBound(size_t most_bytes) : outer_limit_bytes_(limit_bytes) {
  limit_bytes = std::min(limit_bytes, held_bytes + most_bytes);
}

AllocationBound::~AllocationBound() { limit_bytes = outer_limit_bytes_; }

}  // namespace casdisk
