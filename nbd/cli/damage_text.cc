#include "nbd/cli/damage_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "nbd/cli/format.h"

namespace casdisk {
namespace {

// Lines that one list takes of a terminal.
constexpr size_t kMaxLines = 20;
// Objects in JSON, each with its uses.
constexpr size_t kMaxJsonObjects = 1000;

std::string range_text(const ByteRange& range) {
  return fmt::format("bytes {} to {}", range.offset, range.offset + range.length - 1);
}

std::string more_text(uint64_t count, size_t shown, std::string_view what) {
  return count > shown ? fmt::format("  and {} more {}\n", count - shown, what) : "";
}

std::string volume_text(const VolumeDamage& volume, std::string_view what) {
  std::string text = fmt::format("{}: {} in {} range{} {}\n", volume.name,
                                 human_bytes(volume.ranges.total_bytes()), volume.ranges.count(),
                                 volume.ranges.count() == 1 ? "" : "s", what);
  const auto& kept = volume.ranges.kept();
  const size_t shown = std::min(kept.size(), kMaxLines);
  for (size_t i = 0; i < shown; i++) text += "  " + range_text(kept[i]) + "\n";
  return text + more_text(volume.ranges.count(), shown, "ranges");
}

std::string object_text(const BadObject& object) {
  std::string text = fmt::format("damaged {}: {}\n", kind_text(object.kind), object.what);
  if (object.use_count == 0) return text + "  nothing needs it\n";
  const size_t shown = std::min(object.uses.size(), size_t(4));
  for (size_t i = 0; i < shown; i++) {
    const ObjectUse& use = object.uses[i];
    text += fmt::format("  {}{}\n", use.volume,
                        use.range.length > 0 ? " " + range_text(use.range) : ": its record");
  }
  return text + more_text(object.use_count, shown, "places");
}

std::string fallback_text(const FallbackState& state) {
  if (!state.failure || state.not_ingested.empty()) return "";
  std::string text = describe(*state.failure) + "\n";
  const size_t shown = std::min(state.not_ingested.size(), kMaxLines);
  for (size_t i = 0; i < shown; i++) {
    text += volume_text(state.not_ingested[i], "cannot be read without it");
  }
  return text + more_text(state.not_ingested.size(), shown, "disks and checkpoints");
}

Json ranges_json(const RangeList& list) {
  Json ranges = Json::array();
  for (const ByteRange& range : list.kept()) {
    ranges.push_back({{"offset_bytes", range.offset}, {"length_bytes", range.length}});
  }
  return ranges;
}

Json volumes_json(const std::vector<VolumeDamage>& volumes) {
  Json all = Json::array();
  for (const VolumeDamage& volume : volumes) {
    all.push_back({{"name", volume.name},
                   {"bytes", volume.ranges.total_bytes()},
                   {"range_count", volume.ranges.count()},
                   {"ranges", ranges_json(volume.ranges)}});
  }
  return all;
}

Json object_json(const BadObject& object) {
  Json uses = Json::array();
  for (const ObjectUse& use : object.uses) {
    uses.push_back({{"name", use.volume},
                    {"offset_bytes", use.range.offset},
                    {"length_bytes", use.range.length}});
  }
  Json json = {{"id", to_hex(object.id)}, {"kind", kind_text(object.kind)}};
  json["pack"] = object.location ? Json(fmt::format("{:016x}", object.location->pack)) : Json();
  json["offset"] = object.location ? Json(object.location->offset) : Json();
  json["what"] = object.what;
  json["use_count"] = object.use_count;
  json["uses"] = std::move(uses);
  return json;
}

}  // namespace

std::string kind_text(const std::optional<ObjectKind>& kind) {
  if (kind == ObjectKind::kChunk) return "chunk";
  if (kind == ObjectKind::kPage) return "page";
  if (kind == ObjectKind::kCheckpoint) return "checkpoint record";
  return "object";
}

std::string damage_text(const VerifyReport& report) {
  std::string text;
  const size_t shown = std::min(report.objects.size(), kMaxLines);
  for (size_t i = 0; i < shown; i++) text += object_text(report.objects[i]);
  if (report.object_count > shown) {
    text += fmt::format("and {} more damaged objects\n", report.object_count - shown);
  }
  for (const VolumeDamage& volume : report.volumes) text += volume_text(volume, "damaged");
  for (const FallbackState& state : report.fallbacks) text += fallback_text(state);
  for (const std::string& problem : report.problems) text += problem + "\n";
  return text;
}

void add_damage_json(Json& json, const VerifyReport& report) {
  Json objects = Json::array();
  for (const BadObject& object : report.objects) {
    if (objects.size() < kMaxJsonObjects) objects.push_back(object_json(object));
  }
  Json fallbacks = Json::array();
  for (const FallbackState& state : report.fallbacks) {
    fallbacks.push_back({{"path", state.path},
                         {"id", to_hex(state.id)},
                         {"failure", state.failure ? Json(describe(*state.failure)) : Json()},
                         {"not_ingested", volumes_json(state.not_ingested)}});
  }
  Json unnamed = Json::array();
  for (const UnnamedDamage& each : report.unnamed) {
    unnamed.push_back({{"pack", fmt::format("{:016x}", each.location.pack)},
                       {"offset", each.location.offset},
                       {"length_bytes", each.location.record_bytes},
                       {"what", each.what}});
  }
  json["damaged_count"] = report.object_count;
  json["damaged"] = std::move(objects);
  json["volumes"] = volumes_json(report.volumes);
  json["fallbacks"] = std::move(fallbacks);
  json["problems"] = report.problems;
  json["notes"] = report.notes;
  json["unnamed_count"] = report.unnamed_count;
  json["unnamed"] = std::move(unnamed);
}

}  // namespace casdisk
