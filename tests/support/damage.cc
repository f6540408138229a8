#include "tests/support/damage.h"

#include <fstream>
#include <iterator>

#include "tests/support/test_store.h"

namespace casdisk {

std::string pack_path(Store& store, uint64_t pack) {
  return store.path() + "/packs/" + pack_file_name(pack);
}

PackLocation location_of(Store& store, const ChunkId& id) {
  const auto entry = must(store.local_chunks().locations().lookup(id));
  EXPECT_TRUE(entry.has_value()) << to_hex(id);
  return entry ? entry->location : PackLocation();
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = as_bytes(text);
  return Bytes(bytes.begin(), bytes.end());
}

void write_file(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}

void flip_bit(const std::string& path, uint64_t at) {
  Bytes bytes = read_file(path);
  ASSERT_LT(at, bytes.size()) << path;
  bytes[at] ^= std::byte(1);
  write_file(path, bytes);
}

void damage_payload(Store& store, const ChunkId& id, uint64_t at) {
  const PackLocation location = location_of(store, id);
  const Bytes bytes = read_file(pack_path(store, location.pack));
  const auto record = must(decode_record(std::span(bytes).subspan(location.offset)));
  flip_bit(pack_path(store, location.pack),
           location.offset + record.header.payload_offset() + at % record.header.stored_bytes);
}

void damage_header(Store& store, const ChunkId& id) {
  const PackLocation location = location_of(store, id);
  flip_bit(pack_path(store, location.pack), location.offset + 20);
}

}  // namespace casdisk
