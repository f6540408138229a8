// Result<T>: a value or an Error; the only way that a failure travels in this project.
//
// Both are [[nodiscard]]: an error that nobody looks at does not compile. TRY and TRY_ASSIGN pass
// one on. CHECK is for bugs of ours, never for bad input or failing devices, and stays on in
// production: it prints the broken condition and aborts.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace casdisk {

// What kind of failure it was, as far as a caller may act on it differently.
enum class Fault {
  kNotFound,     // a name or an object that does not exist
  kExists,       // a name that is taken
  kInvalid,      // an argument or a request that cannot be carried out
  kBusy,         // held by somebody else
  kNoSpace,      // the file system or a table is full
  kIo,           // the system refused an operation; os_error says why
  kDamaged,      // bytes that are not what was written: a checksum, a hash or a format is wrong
  kPoisoned,     // an earlier sync failed; nothing may be promised any more
  kUnsupported,  // the file system or the kernel cannot do this
  kDiffers,      // a comparison found a difference
  kConflict,     // what a change was conditional on does not hold (any more); nothing was changed
  kTooLarge,     // beyond a limit of size: `max` and `actual` say which
  kLimit,        // as many as there may be, `max`; or as many tries
  kUnavailable,  // a server does not answer, or not now; the same request may succeed later
};

struct Error {
  Fault fault = Fault::kIo;
  int os_error = 0;     // errno, or 0 where the system had no part in it
  std::string context;  // what failed, with which object, and what to do about it
  uint64_t max = 0;     // of kTooLarge and kLimit: what is allowed
  uint64_t actual = 0;  // and what it was
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  T& value() & { return std::get<T>(state_); }
  const T& value() const& { return std::get<T>(state_); }
  T&& value() && { return std::get<T>(std::move(state_)); }
  Error& error() { return std::get<Error>(state_); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  Error& error() { return error_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

// The error of a system call: errno's meaning picks the fault, `context` names the object.
Error os_error(int error_number, std::string context);

// "context: Too many open files; raise ...", as a person reads it, with what can be done about it.
std::string describe(const Error& error);

}  // namespace casdisk

#define CASDISK_JOIN_INNER(a, b) a##b
#define CASDISK_JOIN(a, b) CASDISK_JOIN_INNER(a, b)

// Each use names its own temporary, so that uses nest (a TRY inside a lambda inside a TRY).
#define TRY(expression) TRY_INNER(CASDISK_JOIN(try_, __COUNTER__), expression)
#define TRY_INNER(temporary, expression)                  \
  do {                                                    \
    if (auto temporary = (expression); !temporary.ok()) { \
      return std::move(temporary.error());                \
    }                                                     \
  } while (false)

#define TRY_ASSIGN(declaration, expression) \
  TRY_ASSIGN_INNER(CASDISK_JOIN(try_assign_, __COUNTER__), declaration, expression)
#define TRY_ASSIGN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                             \
  if (!temporary.ok()) return std::move(temporary.error());  \
  declaration = std::move(temporary).value()

#define CHECK(condition)                                                                          \
  do {                                                                                            \
    if (!(condition)) [[unlikely]] {                                                              \
      std::fprintf(stderr, "casdisk: %s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                               \
    }                                                                                             \
  } while (false)
