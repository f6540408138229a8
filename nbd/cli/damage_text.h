// What verify and repair say of damage: for people and as JSON. Pure functions.
#pragma once

#include <string>

#include "index/verify.h"
#include "nbd/cli/console.h"

namespace casdisk {

// "chunk", "page", "checkpoint record" or "object".
std::string kind_text(const std::optional<ObjectKind>& kind);

// Nothing where there is no damage; else lines, the longest lists cut off with their length.
std::string damage_text(const VerifyReport& report);

// The fields "damaged", "volumes", "fallbacks", "problems", "notes" and their counts.
void add_damage_json(Json& json, const VerifyReport& report);

}  // namespace casdisk
