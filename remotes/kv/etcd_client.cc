#include "remotes/kv/etcd_client.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {

EtcdClient::EtcdClient(EtcdAddress address) : address_(std::move(address)) {
  CHECK(!address_.members.empty());
}

Result<EtcdClient::Answer> EtcdClient::post(std::string_view path, std::string_view body,
                                            Repeat repeat) {
  // A read goes to a lone member twice: it may have restarted under a connection that was kept.
  const size_t try_count = std::max<size_t>(address_.members.size(), 2);
  const size_t first = preferred_;
  for (size_t tried = 0;; tried++) {
    const size_t at = (first + tried) % address_.members.size();
    const ServerAddress& member = address_.members[at];
    const bool is_ipv6 = member.host.find(':') != std::string::npos;
    HttpOutcome outcome =
        http_.post({.url = fmt::format("http://{}{}{}:{}/v3/{}", is_ipv6 ? "[" : "", member.host,
                                       is_ipv6 ? "]" : "", member.port, path),
                    .body = body,
                    .timeout = address_.timeout,
                    .most_bytes = kMaxEtcdAnswerBytes});
    const bool is_last = tried + 1 == try_count || (outcome.was_sent && repeat == Repeat::kNever);
    if (!outcome.answer.ok()) {
      Error& error = outcome.answer.error();
      if (error.fault == Fault::kUnavailable) {
        preferred_ = at + 1;
        if (!is_last) continue;
      }
      error.context = fmt::format("{}: {}", address_.name, error.context);
      return std::move(error);
    }
    HttpAnswer& http = outcome.answer.value();
    preferred_ = at;
    if (http.status == 200) return Answer{std::move(http.body)};
    Answer answer{{}, decode_etcd_refusal(http.status, http.body)};
    const bool may_pass = answer.refusal.code == kEtcdUnavailable;
    if (may_pass) preferred_ = at + 1;
    if (!may_pass || is_last) return answer;
  }
}

Result<std::string> EtcdClient::call(std::string_view path, std::string_view body, Repeat repeat) {
  TRY_ASSIGN(Answer answer, post(path, body, repeat));
  if (!answer.is_ok()) return error_of(answer.refusal);
  return std::move(answer.text);
}

Error EtcdClient::error_of(const EtcdRefusal& refusal) const {
  struct Meaning {
    std::string_view words;
    Fault fault;
    std::string_view remedy;
  };
  static constexpr Meaning kMeanings[] = {
      {"database space exceeded", Fault::kNoSpace,
       "compact and defragment etcd, disarm its alarm, or raise --quota-backend-bytes"},
      {"request is too large", Fault::kTooLarge,
       "raise --max-request-bytes, or write less at once"},
      {"too many operations", Fault::kTooLarge, "raise --max-txn-ops, or write less at once"},
      {"user name is empty", Fault::kInvalid, "etcd wants users; the gateway is used without one"},
      {"permission denied", Fault::kInvalid, "etcd wants users; the gateway is used without one"},
      {"invalid auth token", Fault::kInvalid, "etcd wants users; the gateway is used without one"},
  };
  for (const Meaning& meaning : kMeanings) {
    if (refusal.text.find(meaning.words) == refusal.text.npos) continue;
    return Error{meaning.fault, 0,
                 fmt::format("{}: {} ({})", address_.name, refusal.text, meaning.remedy)};
  }
  // Codes of gRPC: 1 cancelled, 4 its time is over, 8 too many requests, 14 unavailable.
  static constexpr int kPassing[] = {1, 4, 8, kEtcdUnavailable};
  const bool may_pass = std::ranges::find(kPassing, refusal.code) != std::end(kPassing);
  return Error{may_pass ? Fault::kUnavailable : Fault::kIo, 0,
               fmt::format("{}: {}{}", address_.name, refusal.text,
                           may_pass ? "; what was asked for may have been done" : "")};
}

}  // namespace casdisk
