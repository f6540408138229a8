// PackReader: reads records out of packs and verifies them.
//
// Keeps a bounded number of packs open; a pack that is deleted meanwhile stays readable as long as
// it is open. Safe to call from any thread. Errors name chunk, pack and offset.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "cas/chunk_store.h"
#include "cas/os/file.h"
#include "cas/pack_format.h"

namespace casdisk {

// Descriptors that a store keeps for reading: 256 packs are 64 GiB, and a process may by default
// have 1024 files open.
inline constexpr size_t kMaxOpenPacks = 256;

class PackReader {
 public:
  // Both outlive the reader.
  PackReader(FileSystem& file_system, Directory& packs)
      : file_system_(file_system), packs_(packs) {}

  // kDamaged when the pack is gone or cut off, or what lies there is not this object.
  Result<Object> read(const LocatedObject& object);

  // The same for many, in their order, read in one batch. Any failure fails all, and the error may
  // name the pack alone: read them singly to tell which one it was.
  Result<std::vector<Object>> read_many(std::span<const LocatedObject> objects);

  // Fills `into` with whole blocks of a raw chunk from `first_block` on, checked against their own
  // checksums alone. The first also reads these; kUnsupported when the record is no raw chunk's.
  Result<RawRecord> read_first_blocks(const LocatedObject& chunk, uint32_t first_block,
                                      std::span<std::byte> into);
  Result<void> read_blocks(const RawRecord& record, uint32_t first_block,
                           std::span<std::byte> into);

  // The same for many, in one batch.
  struct BlockRead {
    ChunkId id;
    RawRecord record;       // its checksums are read, too, where they are not known
    bool is_known = false;  // the checksums
    uint32_t first_block = 0;
    std::span<std::byte> into;
    bool is_right = false;  // what is in `into`, and in `record`
  };
  void read_blocks(std::span<BlockRead> reads);

  // The verified record as it lies in its pack.
  Result<Bytes> read_record(const LocatedObject& object);

  // Whether the pack exists and reaches to the end of the record; nothing is read.
  bool reaches(const PackLocation& location);

  // Lets go of the pack's file until somebody reads from it again.
  void close(uint64_t pack);

 private:
  struct OpenPack {
    std::shared_ptr<const File> file;
    uint64_t last_use = 0;
  };
  Result<std::shared_ptr<const File>> open_pack(uint64_t pack);
  // Returns the object and leaves its record in `record`, which has room for it.
  Result<ObjectContent> read_verified(const LocatedObject& object, std::span<std::byte> record);

  // Fixed after construction.
  FileSystem& file_system_;
  Directory& packs_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<uint64_t, OpenPack> open_packs_;
  uint64_t use_count_ = 0;
};

}  // namespace casdisk
