#include "remotes/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <mutex>

namespace casdisk {
namespace {

constexpr long kConnectMs = 3000;

// Of one request: what curl calls back with.
struct Transfer {
  std::string body;
  size_t most_bytes = 0;
  bool is_too_large = false;
  int sent_count = 0;
};

size_t receive(char* bytes, size_t, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  if (count > transfer.most_bytes - transfer.body.size()) {
    transfer.is_too_large = true;
    return 0;  // ends the transfer
  }
  transfer.body.append(bytes, count);
  return count;
}

// Before the request goes out. curl would send it once more when a connection that it kept turns
// out to be dead, although the server may have carried it out.
int before_sending(void* data, char*, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(data);
  return ++transfer.sent_count == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

}  // namespace

class HttpClient::Handle {
 public:
  Handle() : curl_(::curl_easy_init()) {
    CHECK(curl_ != nullptr);
    headers_ = ::curl_slist_append(nullptr, "Content-Type: application/json");
    headers_ = ::curl_slist_append(headers_, "Expect:");  // no round trip before a large body
    CHECK(headers_ != nullptr);
    ::curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(curl_, CURLOPT_PROXY, "");
    ::curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    ::curl_easy_setopt(curl_, CURLOPT_TCP_KEEPALIVE, 1L);
    ::curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_);
    ::curl_easy_setopt(curl_, CURLOPT_POST, 1L);
    ::curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, error_);
    ::curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, receive);
    ::curl_easy_setopt(curl_, CURLOPT_PREREQFUNCTION, before_sending);
  }
  ~Handle() {
    ::curl_easy_cleanup(curl_);
    ::curl_slist_free_all(headers_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  HttpOutcome post(const HttpPost& request) {
    Transfer transfer{.body = {}, .most_bytes = request.most_bytes};
    error_[0] = '\0';
    ::curl_easy_setopt(curl_, CURLOPT_URL, request.url.c_str());
    ::curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, long(request.timeout.count()));
    ::curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.size()));
    ::curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, request.body.data());
    ::curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &transfer);
    ::curl_easy_setopt(curl_, CURLOPT_PREREQDATA, &transfer);
    const CURLcode code = ::curl_easy_perform(curl_);
    const bool was_sent = transfer.sent_count > 0;
    if (code == CURLE_OK) {
      long status = 0;
      ::curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
      return {HttpAnswer{int(status), std::move(transfer.body)}, was_sent};
    }
    if (transfer.is_too_large) {
      return {
          Error{Fault::kTooLarge, 0,
                fmt::format("{}: an answer of more than {} bytes", request.url, request.most_bytes),
                request.most_bytes},
          was_sent};
    }
    std::string_view why = error_[0] != '\0' ? error_ : ::curl_easy_strerror(code);
    if (code == CURLE_ABORTED_BY_CALLBACK) why = "the connection broke before an answer came";
    return {Error{Fault::kUnavailable, 0,
                  fmt::format("{}: {}{}", request.url, why,
                              was_sent ? "; what was asked for may have been done" : "")},
            was_sent};
  }

 private:
  CURL* const curl_;
  curl_slist* headers_ = nullptr;
  char error_[CURL_ERROR_SIZE] = {};
};

HttpClient::HttpClient() : pool_(kMaxHttpConnections) {
  static std::once_flag once;
  std::call_once(once, [] { CHECK(::curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

HttpClient::~HttpClient() = default;

HttpOutcome HttpClient::post(const HttpPost& request) {
  auto taken = pool_.take(request.url, request.timeout, [](const Handle&) { return true; });
  if (!taken.ok()) return {std::move(taken.error())};
  std::unique_ptr<Handle> handle = std::move(taken).value();
  if (!handle) handle = std::make_unique<Handle>();
  HttpOutcome outcome = handle->post(request);
  pool_.give_back(std::move(handle));
  return outcome;
}

}  // namespace casdisk
