// A Hyper-V pool file that may be anything: what it holds is what a plain reading says, and so are
// changes to it, after which it is in order.
#include <map>

#include "cas/kv/hyperv_kv.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_files.h"

namespace casdisk {
namespace {

using std::string;
using Pairs = std::vector<std::pair<string, string>>;

constexpr size_t kMostBytes = size_t(8) << 20;
constexpr size_t kMostRecords = 24;
constexpr size_t kMostChanges = 8;

// A field that begins with bytes of the input, on a ground of one byte.
Bytes field(FuzzInput& input, size_t width) {
  Bytes bytes(width, std::byte(input.below(4) == 0 ? input.number<uint8_t>() : 0));
  const size_t length = input.below(8) == 0 ? width : size_t(input.below(6));
  const auto text = input.take(length);
  std::ranges::copy(text, bytes.begin());
  return bytes;
}

Bytes pool_file(FuzzInput& input) {
  Bytes file;
  for (uint64_t count = input.below(kMostRecords); count > 0; count--) {
    for (const size_t width : {kHypervKeyBytes, kHypervValueBytes}) {
      const Bytes one = field(input, width);
      file.insert(file.end(), one.begin(), one.end());
    }
  }
  const Bytes torn = field(input, kHypervRecordBytes);
  const size_t torn_bytes = size_t(input.below(kHypervRecordBytes));
  file.insert(file.end(), torn.begin(), torn.begin() + ptrdiff_t(torn_bytes));
  return file;
}

string text_at(const Bytes& file, size_t offset, size_t width) {
  string text;
  for (size_t i = 0; i < width && file[offset + i] != std::byte(0); i++) {
    text += char(file[offset + i]);
  }
  return text;
}

Pairs plain_reading(const Bytes& file) {
  Pairs all;
  for (size_t at = 0; at + 2560 <= file.size(); at += 2560) {
    string key = text_at(file, at, 512);
    if (!key.empty()) all.emplace_back(std::move(key), text_at(file, at + 512, 2048));
  }
  return all;
}

void check_content(HypervKv& pool, const Pairs& expected) {
  Pairs dumped;
  CHECK(pool.dump([&](const KvRecord& record) -> Result<void> {
              dumped.emplace_back(record.key, record.value.bytes);
              return {};
            })
            .ok());
  CHECK(dumped == expected);
  std::map<string, string> last;
  for (const auto& [key, value] : expected) last[key] = value;
  string after;
  for (auto at = last.begin(); at != last.end();) {
    auto slice = pool.list({.after = after, .limit_count = 3, .limit_bytes = 3000});
    CHECK(slice.ok() && !slice.value().records.empty());
    for (const KvRecord& record : slice.value().records) {
      CHECK(at != last.end() && record.key == at->first && record.value.bytes == at->second);
      ++at;
    }
    after = slice.value().after;
    CHECK(after.empty() == (at == last.end()));
  }
  for (const auto& [key, value] : last) {
    auto found = pool.get(key);
    CHECK(found.ok() && found.value() && found.value()->bytes == value);
  }
}

string some_text(FuzzInput& input, size_t least, size_t most) {
  string text(least + size_t(input.below(most - least + 1)), 'a');
  for (char& c : text) c = char(std::max<uint8_t>(input.number<uint8_t>(), 1));
  return text;
}

void change(HypervKv& pool, FuzzInput& input, Pairs& expected) {
  const string key = !expected.empty() && input.below(2) == 0
                         ? expected[size_t(input.below(expected.size()))].first
                         : some_text(input, 1, 4);
  const string value = some_text(input, 0, input.below(3) == 0 ? kHypervValueBytes : 5);
  const KvOperation put{KvOperation::Kind::kPut, key, value};
  const KvOperation remove{KvOperation::Kind::kRemove, key};
  const auto is_it = [&](const auto& pair) { return pair.first == key; };
  switch (input.below(3)) {
    case 0: {
      CHECK(pool.write({{&put, 1}}).ok());
      auto first = std::ranges::find_if(expected, is_it);
      if (first == expected.end()) {
        expected.emplace_back(key, value);
        return;
      }
      first->second = value;
      expected.erase(std::remove_if(first + 1, expected.end(), is_it), expected.end());
      return;
    }
    case 1: {
      auto removed = pool.write({{&remove, 1}});
      CHECK(removed.ok());
      CHECK(removed.value()[0].removed_count == std::erase_if(expected, is_it));
      return;
    }
    default:
      CHECK(pool.append({&put, 1}).ok());
      expected.emplace_back(key, value);
  }
}

void run(FuzzInput input) {
  static ScratchFiles files;
  const HypervLocation location{1, files.directory().path(), HypervLimits::kWire};
  const Bytes file = pool_file(input);
  files.write(location.file_name(), file);
  const AllocationBound bound(kMostBytes);
  auto opened = HypervKv::open(location, {});
  CHECK(opened.ok());
  HypervKv& pool = *opened.value();
  Pairs expected = plain_reading(file);
  check_content(pool, expected);
  for (size_t i = 0; i < kMostChanges && !input.empty(); i++) {
    change(pool, input, expected);
    check_content(pool, expected);
    CHECK(files.read(location.file_name()).size() == expected.size() * kHypervRecordBytes);
  }
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
