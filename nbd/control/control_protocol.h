// The control protocol: what commands ask of a server, as structs and as lines of JSON. Pure
// functions, no I/O; docs/CONTROL.md has every field.
//
// Decoders believe nothing: what is missing has its default, what is unknown is passed over, what
// has the wrong type or is too long is kInvalid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cas/chunk_id.h"
#include "cas/os/result.h"
#include "index/records.h"
#include "index/store.h"

namespace casdisk {

inline constexpr uint64_t kControlVersion = 1;
inline constexpr size_t kMaxControlTokenBytes = 256;       // more than any token has
inline constexpr size_t kMaxControlLineBytes = 64 * 1024;  // with its newline

struct ControlGreeting {
  uint64_t version = kControlVersion;
  int64_t pid = 0;
};

enum class ControlOperation {
  kStatus,
  kStats,
  kCheckpoint,
  kFork,
  kSeal,
  kFlush,
  kRollback,
  kResize,
  kDetach,
  kBeginSession,
  // The steps of a group checkpoint (index/group_checkpoint.h).
  kPrepare,
  kHold,
  kCut,
  kFlushCut,
  kReload,
  kRelease,
};
std::string_view operation_name(ControlOperation operation);

struct ControlRequest {
  uint64_t id = 0;  // the client's choice; its replies carry it
  ControlOperation operation = ControlOperation::kStatus;
  std::string disk;
  std::string token;  // of who asks, as text; empty: its uid says who that is. Secret

  std::string checkpoint;               // checkpoint, rollback
  Labels labels;                        // checkpoint
  std::vector<Attachment> attachments;  // checkpoint: after begin_session
  std::string new_disk;                 // fork
  uint64_t size_bytes = 0;              // resize
  uint64_t at_most_ms = 0;              // hold
  uint64_t hold = 0;                    // cut, release: what hold answered
  uint64_t generation = 0;              // reload: what cut answered
  bool wait = false;                    // checkpoint, seal: answer when it is sealed
  bool force = false;                   // rollback: although clients are attached
  SealWhat what = SealWhat::kAll;       // seal
};
ControlRequest request_for(const std::string& disk, ControlOperation operation);

// A disk as its server sees it.
struct DiskStatus {
  uint64_t size_bytes = 0;
  uint64_t client_count = 0;
  uint64_t active_bytes = 0;  // dirty, and in no cut yet
  uint64_t frozen_count = 0;  // generations
  uint64_t frozen_bytes = 0;
  std::vector<std::string> pending;  // names of checkpoints
  bool sealing = false;              // in the background
  uint64_t sealed_bytes = 0;         // by the seal that runs
  std::string failure;               // of the last seal; empty: none
};

// Requests of one kind ("read", "write", ...) since the disk was opened.
struct RequestStats {
  std::string kind;
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t error_count = 0;
  uint64_t longest_us = 0;
};

// What there is to say depends on the operation.
struct ControlAnswer {
  std::string checkpoint;                     // checkpoint: its name
  std::optional<ChunkId> id;                  // checkpoint: once it is sealed
  bool sealed = false;                        // seal: nothing waits any more
  std::optional<uint64_t> size_bytes;         // resize
  std::optional<uint64_t> before_size_bytes;  // resize
  std::optional<uint64_t> client_count;       // rollback, resize, detach: attached before
  std::optional<uint64_t> detached_count;     // detach
  std::optional<uint64_t> hold;               // hold: which one it is
  std::optional<uint64_t> generation;         // cut
  std::optional<DiskStatus> status;           // status
  std::vector<RequestStats> stats;            // stats
};

struct ControlProgress {
  uint64_t sealed_bytes = 0;
};

struct ControlReply {
  uint64_t id = 0;
  std::variant<ControlProgress, ControlAnswer, Error> content;
};

// Lines without their newline.
std::string encode(const ControlGreeting& greeting);
std::string encode(const ControlRequest& request);
std::string encode(const ControlReply& reply);

Result<ControlGreeting> decode_greeting(std::string_view line);
Result<ControlRequest> decode_request(std::string_view line);
Result<ControlReply> decode_reply(std::string_view line);

// The id of a line that is a request, if only a wrong one; nothing when it is none at all.
std::optional<uint64_t> request_id(std::string_view line);

}  // namespace casdisk
