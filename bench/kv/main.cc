// casdisk-kv-bench: the rows of key-value stores, one table for all of them in one run.
//
// Each kind of store has a process of its own, so that memory and bytes written are its own. It
// tells its figures through a pipe, a line each: row, value, unit.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/kv/subject.h"

namespace casdisk::bench {
namespace {

struct Table {
  std::vector<std::string> rows;                               // in the order of their first figure
  std::map<std::string, std::map<std::string, Figure>> cells;  // by row, by backend

  void add(const std::string& backend, const Figure& figure) {
    if (!cells.contains(figure.row)) rows.push_back(figure.row);
    cells[figure.row][backend] = figure;
  }
};

void run_rows(const std::string& backend, const std::string& directory, const Options& options,
              std::FILE* out) {
  const Subject subject(backend, directory, options, [&](const Figure& figure) {
    std::fprintf(out, "%s\t%.6g\t%s\n", figure.row.c_str(), figure.value, figure.unit.c_str());
    std::fflush(out);
    std::fprintf(stderr, "%s: %s: %.6g %s\n", backend.c_str(), figure.row.c_str(), figure.value,
                 figure.unit.c_str());
  });
  run_small_rows(subject);
  run_durable_rows(subject);
  run_large_rows(subject);
}

// False when the process failed, which has said why.
bool measure(const std::string& backend, const std::string& directory, const Options& options,
             Table& table) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) die("no pipe");
  const pid_t child = ::fork();
  if (child < 0) die("no process");
  if (child == 0) {
    ::close(pipe[0]);
    run_rows(backend, directory, options, ::fdopen(pipe[1], "w"));
    std::exit(0);
  }
  ::close(pipe[1]);
  std::FILE* in = ::fdopen(pipe[0], "r");
  char line[512];
  while (std::fgets(line, sizeof line, in) != nullptr) {
    std::istringstream fields(line);
    Figure figure;
    std::string value;
    std::getline(fields, figure.row, '\t');
    std::getline(fields, value, '\t');
    std::getline(fields, figure.unit);
    figure.value = std::strtod(value.c_str(), nullptr);
    table.add(backend, figure);
  }
  std::fclose(in);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 100 ? "%.0f" : value >= 1 ? "%.1f" : "%.3f", value);
  std::string digits = text;
  if (value < 1000) return digits;
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

void print_table(const Table& table, const std::vector<std::string>& backends) {
  std::string head = "| row | unit |", rule = "|---|---|";
  for (const std::string& backend : backends) {
    head += " " + backend + " |";
    rule += "---|";
  }
  std::printf("%s\n%s\n", head.c_str(), rule.c_str());
  for (const std::string& row : table.rows) {
    const auto& cells = table.cells.at(row);
    std::string line = "| " + row + " | " + cells.begin()->second.unit + " |";
    for (const std::string& backend : backends) {
      const auto cell = cells.find(backend);
      line += cell == cells.end() ? " |" : " " + shown(cell->second.value) + " |";
    }
    std::printf("%s\n", line.c_str());
  }
}

void print_json(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& row : table.rows) {
    nlohmann::ordered_json one = {{"row", row}};
    for (const auto& [backend, figure] : table.cells.at(row)) {
      one["unit"] = figure.unit;
      one[backend] = figure.value;
    }
    rows.push_back(std::move(one));
  }
  std::printf("%s\n", rows.dump(2).c_str());
}

int run(const Options& options) {
  std::string directory = options.directory + "/casdisk-kv-bench.XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) die(directory + ": cannot be made");
  Table table;
  bool are_all_there = true;
  for (const std::string& backend : options.backends) {
    are_all_there &= measure(backend, directory + "/" + backend, options, table);
    std::error_code ignored;
    std::filesystem::remove_all(directory + "/" + backend, ignored);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  if (options.is_json) {
    print_json(table);
  } else {
    print_table(table, options.backends);
  }
  return are_all_there ? 0 : 1;
}

}  // namespace
}  // namespace casdisk::bench

int main(int argument_count, char** arguments) {
  const auto options = casdisk::bench::parse_options(argument_count, arguments);
  return options ? casdisk::bench::run(*options) : 2;
}
