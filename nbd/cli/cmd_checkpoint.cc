// casdisk checkpoint
#include <fmt/format.h>

#include <algorithm>

#include "index/attachment.h"
#include "index/lineage.h"
#include "index/name_rules.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/checkpoint_entry.h"
#include "nbd/cli/checkpoint_group.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/cli/interrupt.h"
#include "nbd/control/served_disk.h"
#include "nbd/image/image_source.h"

namespace casdisk {
namespace {

// The time as a name, with -2, -3... when checkpoints come faster than seconds.
constexpr unsigned kMaxNamesPerSecond = 10000;

struct KeyValue {
  std::string key;
  std::string value;
};

Result<KeyValue> key_value(const std::string& option, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != text.npos && equals > 0)
    return KeyValue{text.substr(0, equals), text.substr(equals + 1)};
  return Error{Fault::kInvalid, 0, fmt::format("--{} {:?}: KEY=VALUE is wanted", option, text)};
}

Result<Attachment> attach(Session& session, const KeyValue& given, unsigned threads) {
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto opened,
             open_image_source(store->file_system(), given.value, "raw", stop_requested));
  ProgressBar bar("attach " + given.key, opened.source->size_bytes(), session.progress());
  return store_attachment(*store, *opened.source, given.key, threads, [&](uint64_t bytes) {
    bar.set(bytes);
    return !stop_requested();
  });
}

// What goes into the checkpoint besides the disk. Attachments are in the store before the cut, so
// that they take no time of it.
Result<CutRequest> extras(Session& session, const Arguments& arguments, unsigned threads) {
  CutRequest request;
  for (const std::string& text : arguments.texts("label")) {
    TRY_ASSIGN(KeyValue label, key_value("label", text));
    if (text.size() > kMaxLabelBytes || request.labels.size() + 1 >= kMaxLabels) {
      return Error{
          Fault::kInvalid, 0,
          fmt::format("--label: at most {}, of {} bytes each", kMaxLabels - 1, kMaxLabelBytes)};
    }
    request.labels.emplace_back(label.key, label.value);
  }
  const auto files = arguments.texts("attach");
  if (files.size() > kMaxAttachments) {
    return Error{Fault::kInvalid, 0, fmt::format("--attach: at most {}", kMaxAttachments)};
  }
  if (!files.empty()) stop_on_signals();
  for (const std::string& text : files) {
    TRY_ASSIGN(KeyValue file, key_value("attach", text));
    TRY(check_name(file.key, "attachment"));
    for (const Attachment& other : request.attachments) {
      if (other.name != file.key) continue;
      return Error{Fault::kInvalid, 0, fmt::format("--attach: {} is given twice", file.key)};
    }
    TRY_ASSIGN(Attachment attached, attach(session, file, threads));
    request.attachments.push_back(std::move(attached));
  }
  return request;
}

// Keeps attachments from being collected until the checkpoint is recorded.
Result<std::optional<WriteSession>> attachment_session(Store& store, const Arguments& arguments) {
  std::optional<WriteSession> begun;
  if (arguments.texts("attach").empty()) return begun;
  TRY_ASSIGN(WriteSession session, store.begin_session());
  begun.emplace(std::move(session));
  return begun;
}

struct HowToCheckpoint {
  unsigned threads = 1;
  bool wait = false;
  SealProgress progress;
};

Result<void> checkpoint_one(Store& store, const std::string& disk, const CutRequest& cut,
                            const HowToCheckpoint& how) {
  return here_or_at_server(
      store, disk,
      [&]() -> Result<void> {
        TRY(checkpoint_disk(store, disk, cut, how.threads, how.progress));
        return {};
      },
      [&](std::unique_ptr<ControlClient> server) -> Result<void> {
        if (!cut.attachments.empty()) {
          TRY(server->call(request_for(disk, ControlOperation::kBeginSession), how.progress));
        }
        ControlRequest request = request_for(disk, ControlOperation::kCheckpoint);
        request.checkpoint = cut.checkpoint;
        request.labels = cut.labels;
        request.attachments = cut.attachments;
        request.wait = how.wait;
        TRY(server->call(request, how.progress));
        return {};
      });
}

// Gives the name in `cut`.
Result<void> checkpoint_by_time(Store& store, const std::string& disk, CutRequest& cut,
                                const HowToCheckpoint& how) {
  const std::string time = utc_name(store.now_ns());
  for (unsigned i = 1;; i++) {
    cut.checkpoint = i == 1 ? time : fmt::format("{}-{}", time, i);
    auto made = checkpoint_one(store, disk, cut, how);
    if (made.ok() || made.error().fault != Fault::kExists || i == kMaxNamesPerSecond) return made;
  }
}

Result<int> run_single(Session& session, const Arguments& arguments) {
  if (arguments.positional_count() > 2) {
    return Error{Fault::kInvalid, 0, "checkpoint: several disks go with --group NAME"};
  }
  TRY_ASSIGN(VolumeName name, named_checkpoint(arguments));
  HowToCheckpoint how;
  TRY_ASSIGN(how.threads, threads_of(arguments));
  how.wait = arguments.has("wait");
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(DiskSummary disk, summarize_disk(*store, name.disk));
  TRY_ASSIGN(auto attaching, attachment_session(*store, arguments));
  TRY_ASSIGN(CutRequest cut, extras(session, arguments, how.threads));
  cut.checkpoint = name.checkpoint;
  {
    ProgressBar bar("checkpoint " + name.disk, disk.dirty_bytes, session.progress());
    how.progress = [&](uint64_t sealed_bytes) { bar.set(sealed_bytes); };
    TRY(name.is_checkpoint() ? checkpoint_one(*store, name.disk, cut, how)
                             : checkpoint_by_time(*store, name.disk, cut, how));
  }
  name.checkpoint = cut.checkpoint;
  TRY_ASSIGN(CheckpointEntry made, look_up_checkpoint(*store, name));
  session.console().answer(checkpoint_line(made), {{"checkpoint", entry_json(made)}});
  return 0;
}

Result<int> run_group(Session& session, const Arguments& arguments, const std::string& group) {
  TRY(check_new_checkpoint_name(group));
  GroupCheckpoint wanted;
  for (size_t i = 0; i < arguments.positional_count(); i++) {
    TRY_ASSIGN(std::string disk, disk_name(arguments.positional(i)));
    if (std::find(wanted.disks.begin(), wanted.disks.end(), disk) != wanted.disks.end()) {
      return Error{Fault::kInvalid, 0, fmt::format("checkpoint: {} is named twice", disk)};
    }
    wanted.disks.push_back(std::move(disk));
  }
  TRY_ASSIGN(wanted.threads, threads_of(arguments));
  wanted.wait = arguments.has("wait");
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto attaching, attachment_session(*store, arguments));
  TRY_ASSIGN(wanted.cut, extras(session, arguments, wanted.threads));
  wanted.cut.checkpoint = group;
  std::chrono::microseconds held{};
  {
    ProgressBar bar("checkpoint " + group, std::nullopt, session.progress());
    TRY_ASSIGN(held, make_group_checkpoint(*store, wanted));
  }
  std::string text;
  Json list = Json::array();
  for (const std::string& disk : wanted.disks) {
    TRY_ASSIGN(CheckpointEntry made, look_up_checkpoint(*store, {disk, group}));
    text += checkpoint_line(made);
    list.push_back(entry_json(made));
  }
  session.console().answer(
      text, {{"group", group}, {"held_us", held.count()}, {"checkpoints", std::move(list)}});
  return 0;
}

}  // namespace

Syntax checkpoint_syntax() {
  return {
      .positionals = {{"DISK"}, {"NAME | DISK...", false, true}},
      .options = {{"wait", "", "of a disk that is served: return when it is sealed"},
                  {"group", "NAME",
                   "keep several disks as they are at one moment, as DISK@NAME each,\n"
                   "all of them or none"},
                  {"attach", "NAME=FILE",
                   "keep a file with it, such as a VM's memory image (- for stdin)", true},
                  {"label", "KEY=VALUE", "a note for `casdisk info`", true},
                  kThreadsOption},
      .about =
          "Keeps the present content of a disk as DISK@NAME, while it is being written to or not.\n"
          "NAME defaults to the time, such as 2026-11-21T01.02.03Z. Prints the name and the\n"
          "checkpoint's id, the hash that proves its every byte. A disk that is served goes on at\n"
          "once; until its server has sealed the checkpoint, it says \"sealing\" for the id.",
      .exit_codes = "  1 when DISK does not exist or NAME does\n",
      .examples =
          "  casdisk checkpoint web\n  casdisk checkpoint web before-upgrade --wait\n"
          "  casdisk checkpoint web db --group friday --attach vmstate=/run/vm.mem\n"};
}

Result<int> run_checkpoint(Session& session, const Arguments& arguments) {
  if (auto group = arguments.text("group")) return run_group(session, arguments, *group);
  return run_single(session, arguments);
}

}  // namespace casdisk
