// The half of the location table that garbage collection is about: packs and generations.
#include <algorithm>

#include "cas/location_table.h"
#include "cas/location_table_keys.h"

namespace casdisk {

namespace {

Result<void> put_pack(LmdbWriter& writer, const LocationTable::PackRecord& record) {
  return writer.put(pack_key(record.pack),
                    ByteWriter().number(uint8_t(record.condemned ? 1 : 0)).take());
}

Result<uint64_t> read_last_pack(LmdbReader& reader) {
  TRY_ASSIGN(auto last, reader.get(as_bytes(kLastPackKey)));
  return last ? ByteReader(*last).number<uint64_t>() : uint64_t(0);
}

Result<void> put_last_pack(LmdbWriter& writer, uint64_t pack) {
  return writer.put(as_bytes(kLastPackKey), ByteWriter().number(pack).take());
}

Result<LocationTable::Generations> read_generations(LmdbReader& reader) {
  TRY_ASSIGN(auto value, reader.get(as_bytes(kGenerationsKey)));
  LocationTable::Generations generations;
  if (!value) return generations;
  ByteReader fields(*value);
  generations.oldest = fields.number<uint64_t>();
  generations.current = fields.number<uint64_t>();
  if (fields.finished() && generations.oldest <= generations.current) return generations;
  return damaged_in_table("damaged counter of generations");
}

Result<void> put_generations(LmdbWriter& writer, const LocationTable::Generations& generations) {
  return writer.put(as_bytes(kGenerationsKey),
                    ByteWriter().number(generations.oldest).number(generations.current).take());
}

// Of the packs that have a record.
Result<void> set_condemned(LmdbWriter& writer, std::span<const uint64_t> packs, bool condemned) {
  for (uint64_t pack : packs) {
    TRY_ASSIGN(auto record, find_pack(writer, pack));
    if (record && record->condemned != condemned) TRY(put_pack(writer, {pack, condemned}));
  }
  return {};
}

}  // namespace

Result<uint64_t> LocationTable::allocate_pack() {
  uint64_t pack = 0;
  TRY(environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(pack, read_last_pack(writer));
    TRY(put_last_pack(writer, ++pack));
    return put_pack(writer, {pack, false});
  }));
  return pack;
}

Result<void> LocationTable::adopt_packs(std::span<const uint64_t> packs) {
  if (packs.empty()) return {};
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(const uint64_t last, read_last_pack(writer));
    for (uint64_t pack : packs) {
      TRY_ASSIGN(auto known, find_pack(writer, pack));
      if (!known) TRY(put_pack(writer, {pack, false}));
    }
    const uint64_t highest = *std::ranges::max_element(packs);
    return highest > last ? put_last_pack(writer, highest) : Result<void>();
  });
}

Result<std::vector<LocationTable::PackRecord>> LocationTable::packs() {
  std::vector<PackRecord> packs;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    std::vector<uint64_t> ids;
    TRY(reader.scan(as_bytes(kPackPrefix), {}, [&](auto key, auto) {
      uint64_t id = 0;
      for (std::byte digit : key.subspan(1)) id = id << 8 | uint64_t(digit);
      ids.push_back(id);
      return true;
    }));
    for (uint64_t id : ids) {
      TRY_ASSIGN(auto record, find_pack(reader, id));
      if (!record) return Error{Fault::kDamaged, 0, "a record of a pack has an impossible key"};
      packs.push_back(*record);
    }
    return {};
  }));
  return packs;
}

Result<bool> LocationTable::takes_records(uint64_t pack) {
  bool takes = false;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(auto record, find_pack(reader, pack));
    takes = record && !record->condemned;
    return {};
  }));
  return takes;
}

Result<uint64_t> LocationTable::last_pack() {
  uint64_t last = 0;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(last, read_last_pack(reader));
    return {};
  }));
  return last;
}

Result<LocationTable::Generations> LocationTable::generations() {
  Generations generations;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(generations, read_generations(reader));
    return {};
  }));
  return generations;
}

Result<LocationTable::Generations> LocationTable::condemn(std::span<const uint64_t> packs) {
  Generations generations;
  TRY(environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(generations, read_generations(writer));
    generations.current++;
    TRY(put_generations(writer, generations));
    return set_condemned(writer, packs, true);
  }));
  return generations;
}

Result<void> LocationTable::sessions_ended(uint64_t before) {
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(Generations generations, read_generations(writer));
    generations.oldest = std::max(generations.oldest, std::min(before, generations.current));
    return put_generations(writer, generations);
  });
}

Result<void> LocationTable::pardon(std::span<const uint64_t> packs) {
  if (packs.empty()) return {};
  return environment_->update(
      [&](LmdbWriter& writer) { return set_condemned(writer, packs, false); });
}

Result<void> LocationTable::move(std::span<const Move> moves) {
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    for (const Move& each : moves) {
      TRY_ASSIGN(auto entry, find_location(writer, each.id));
      if (!entry || entry->location != each.from) continue;
      TRY(writer.put(location_key(each.id), encode_location({.location = each.to})));
    }
    return {};
  });
}

Result<void> LocationTable::remove(std::span<const LocatedObject> objects) {
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    for (const LocatedObject& object : objects) {
      TRY_ASSIGN(auto entry, find_location(writer, object.id));
      if (entry && entry->location == object.location) {
        TRY(writer.remove(location_key(object.id)));
      }
    }
    return {};
  });
}

Result<void> LocationTable::remove_packs(std::span<const uint64_t> packs) {
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    for (uint64_t pack : packs) TRY(writer.remove(pack_key(pack)));
    return {};
  });
}

}  // namespace casdisk
