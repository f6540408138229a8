// casdisk: the command. Its table of contents.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string_view>

#include "nbd/cli/command_table.h"
#include "nbd/cli/exit.h"
#include "nbd/cli/kv_commands.h"

namespace casdisk {
namespace {

constexpr Command kCommands[] = {
    {"init", "make an empty store", init_syntax, run_init},
    {"import", "make a disk from an image", import_syntax, run_import},
    {"create", "make an empty disk, or one over a raw image", create_syntax, run_create},
    {"fork", "make a disk from a disk or a checkpoint, at once", fork_syntax, run_fork},
    {"serve", "serve disks over NBD", serve_syntax, run_serve},
    {"ls", "list the disks", ls_syntax, run_ls},
    {"info", "show a disk, a checkpoint or the store", info_syntax, run_info},
    {"log", "list the checkpoints that a disk descends from", log_syntax, run_log},
    {"diff", "compare two disks or checkpoints", diff_syntax, run_diff},
    {"checkpoint", "keep a disk's present content under a name", checkpoint_syntax, run_checkpoint},
    {"rollback", "bring a disk back to a checkpoint", rollback_syntax, run_rollback},
    {"resize", "grow or shrink a disk", resize_syntax, run_resize},
    {"seal", "turn what was written to a disk into chunks", seal_syntax, run_seal},
    {"flush", "make what was written to a disk durable", flush_syntax, run_flush},
    {"status", "show who serves the disks, and what they do", status_syntax, run_status},
    {"detach", "end the connections of a disk's clients", detach_syntax, run_detach},
    {"rm", "remove a disk or a checkpoint", rm_syntax, run_rm},
    {"prune", "remove checkpoints that no rule keeps", prune_syntax, run_prune},
    {"gc", "give back the space of what is no longer needed", gc_syntax, run_gc},
    {"export", "write a disk or a checkpoint to an image", export_syntax, run_export},
    {"verify", "read everything and name what is damaged", verify_syntax, run_verify},
    {"repair", "bring back what is damaged, or say what is lost", repair_syntax, run_repair},
    {"doctor", "look whether machine and store are in order", doctor_syntax, run_doctor},
    {"ingest", "take all of a disk's fallback into the store", ingest_syntax, run_ingest},
    {"kv", "look at and change key-value stores", nullptr, nullptr, kv_commands},
    {"report", "tell Azure's host how the machine's making went", report_syntax, run_report},
    {"user", "say who may use the disks of a guarded store", nullptr, nullptr, user_commands},
    {"token", "make tokens that stand for a user", nullptr, nullptr, token_commands},
    {"accept", "use a disk again whose sync failed", accept_syntax, run_accept},
};

std::string overview() {
  return "casdisk: content-addressed virtual disks over NBD\n\n"
         "usage: casdisk COMMAND [ARGUMENT...] [OPTION...]\n\n" +
         commands_text(kCommands) + "\n`casdisk COMMAND --help` says more.\n";
}

Result<int> answer_help(Console& console, const std::string& text) {
  console.answer(text, {{"help", text}});
  return kExitDone;
}

Result<int> run(const CommandLine& line, Console& console) {
  TRY_ASSIGN(const ChosenCommand chosen, choose_command(kCommands, line));
  const Command& command = *chosen.command;
  const Syntax syntax = command.parts == nullptr ? command.syntax() : Syntax();
  TRY_ASSIGN(Arguments arguments, parse_arguments(chosen.name, syntax, chosen.words));
  if (command.parts != nullptr) {
    if (arguments.has("help")) return answer_help(console, parts_text(command));
    return Error{Fault::kInvalid, 0,
                 fmt::format("{}: which command of it? `casdisk {} --help` lists them", chosen.name,
                             chosen.name)};
  }
  if (arguments.has("help")) {
    return answer_help(console, help_text(chosen.name, command.summary, syntax));
  }
  TRY_ASSIGN(GlobalOptions options, global_options_of(arguments));
  Session session(options, console);
  return command.run(session, arguments);
}

// Words that are answered without a command.
Result<int> run_without_command(const CommandLine& line, Console& console) {
  auto given = [&](const char* word) {
    return std::find(line.words.begin(), line.words.end(), word) != line.words.end();
  };
  if (given("--version")) {
    console.answer("casdisk " CASDISK_VERSION "\n", {{"version", CASDISK_VERSION}});
    return kExitDone;
  }
  if (given("--help") || given("-h")) {
    return answer_help(console, overview());
  }
  TRY(parse_arguments("COMMAND", {}, line.words));
  return Error{Fault::kInvalid, 0, "no command given; `casdisk --help` lists them"};
}

int run_all(std::vector<std::string> words) {
  const auto options_end = std::find(words.begin(), words.end(), "--");
  auto given = [&](const char* word) {
    return std::find(words.begin(), options_end, word) != options_end;
  };
  Console console({given("--json"), given("--quiet")});
  CommandLine line = split_command(std::move(words));
  if (line.command == "help") {
    line = split_command(std::move(line.words));
    line.words.push_back("--help");
  }
  auto outcome = line.command.empty() ? run_without_command(line, console) : run(line, console);
  int exit = outcome.ok() ? outcome.value() : exit_code(outcome.error());
  if (!outcome.ok()) console.fail(outcome.error(), exit);
  auto finished = console.finish();
  if (finished.ok()) return exit;
  console.fail(finished.error(), exit_code(finished.error()));
  return exit_code(finished.error());
}

}  // namespace
}  // namespace casdisk

// At once, from whatever thread: others may wait for what the one that found no memory had begun. A
// command that is cut off has happened or it has not.
[[noreturn]] void end_without_memory() {
  constexpr std::string_view kSaid =
      "casdisk: out of memory: raise its limit, or lower --cache or --threads\n";
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, kSaid.data(), kSaid.size());
  ::_exit(casdisk::kExitFailed);
}

int main(int argc, char** argv) {
  std::set_new_handler(end_without_memory);
  try {
    return casdisk::run_all(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "casdisk: %s\n", error.what());
    return casdisk::kExitFailed;
  }
}
