// Runs a fuzz target over kept inputs, as an ordinary test: PROGRAM FILE-OR-DIRECTORY...
//
// Each file is run as it is, cut short at some places, and with single bytes changed; which ones
// follows from the file alone, so that a failure comes again. The file is named before it is run.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace {

namespace fs = std::filesystem;

constexpr size_t kCuts = 8;
constexpr size_t kChanges = 24;

using Input = std::vector<uint8_t>;

void run(const Input& input) {
  // A buffer of exactly its size, so that a sanitizer sees one byte too many.
  const Input exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

size_t run_variants(const Input& input) {
  std::mt19937_64 random(input.size());
  run(input);
  if (input.empty()) return 1;
  for (size_t i = 0; i < kCuts; i++) {
    run(Input(input.begin(), input.begin() + ptrdiff_t(random() % input.size())));
  }
  for (size_t i = 0; i < kChanges; i++) {
    Input changed = input;
    changed[random() % changed.size()] ^= uint8_t(1 + random() % 255);
    run(changed);
  }
  return 1 + kCuts + kChanges;
}

std::vector<std::string> files_of(const std::string& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  size_t file_count = 0, run_count = 0;
  for (int i = 1; i < argc; i++) {
    for (const std::string& path : files_of(argv[i])) {
      std::ifstream file(path, std::ios::binary);
      const Input input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
      if (!file.is_open()) {
        std::fprintf(stderr, "cannot read %s\n", path.c_str());
        return 1;
      }
      std::printf("%s\n", path.c_str());
      std::fflush(stdout);
      run_count += run_variants(input);
      file_count++;
    }
  }
  std::printf("%zu inputs, %zu runs\n", file_count, run_count);
  return file_count > 0 ? 0 : 1;  // a test of nothing would never fail
}
