// EtcdClient: requests to the JSON gateway of an etcd cluster, to whichever member answers.
//
// Safe to call from any thread. Make it behind a fork.
#pragma once

#include <atomic>

#include "remotes/http_client.h"
#include "remotes/kv/etcd_messages.h"
#include "remotes/kv/server_url.h"

namespace casdisk {

struct EtcdAddress {
  std::string name;  // as errors say it
  std::vector<ServerAddress> members;
  std::chrono::milliseconds timeout{10'000};  // of a request to one member
};

class EtcdClient {
 public:
  // What may be done when nobody knows whether a request was carried out.
  enum class Repeat {
    kNever,    // kUnavailable; one that was surely not carried out goes to the next member
    kOnceMore  // it changes nothing, or nothing the second time: it goes to the next member
  };

  // What a member answered: a message, or a refusal.
  struct Answer {
    std::string text;          // the message
    EtcdRefusal refusal = {};  // with a code other than 0
    bool is_ok() const { return refusal.text.empty(); }
  };

  explicit EtcdClient(EtcdAddress address);

  const std::string& name() const { return address_.name; }

  // `path` is "kv/range" and so on. kTooLarge: the answer is larger than kMaxEtcdAnswerBytes.
  Result<Answer> post(std::string_view path, std::string_view body, Repeat repeat);
  // The message alone; a refusal is its error.
  Result<std::string> call(std::string_view path, std::string_view body, Repeat repeat);
  // kUnavailable (no leader, overloaded), kNoSpace (its quota), kTooLarge, kInvalid (not let in).
  Error error_of(const EtcdRefusal& refusal) const;

 private:
  // Fixed after construction.
  const EtcdAddress address_;

  HttpClient http_;
  std::atomic<size_t> preferred_ = 0;  // the member that answered last
};

inline constexpr size_t kMaxEtcdAnswerBytes = size_t(32) << 20;

}  // namespace casdisk
