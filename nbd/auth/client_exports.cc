#include "nbd/auth/client_exports.h"

#include "index/missing_disk.h"

namespace casdisk {
namespace {

DiskFilter readable_with(const Permit& permit) {
  return [&permit](const std::string& disk) { return permit.allows(Scope::kRead, disk); };
}

}  // namespace

Result<std::vector<ExportLine>> ClientExports::list(const Peer& peer) {
  TRY_ASSIGN(const Permit permit, guard_.permit(peer, ""));
  return exports_.list(readable_with(permit));
}

Result<std::string> ClientExports::default_name(const Peer& peer) {
  TRY_ASSIGN(const Permit permit, guard_.permit(peer, ""));
  return default_for(permit);
}

Result<std::string> ClientExports::default_for(const Permit& permit) {
  auto only = exports_.default_name(readable_with(permit));
  if (!only.ok() && !permit.is_everything()) {
    guard_.note_refused(permit, "open", "the default export");
  }
  return only;
}

Result<std::unique_ptr<Exports::Handle>> ClientExports::open(const Peer& peer,
                                                             const std::string& name) {
  const NameWithToken given = split_token(name);
  if (!given.token.empty()) guard_.note_token(peer);
  TRY_ASSIGN(const Permit permit, guard_.permit(peer, given.token));
  if (permit.is_everything()) return exports_.open_export(given.name);
  std::string chosen = given.name;
  if (chosen.empty()) {
    TRY_ASSIGN(chosen, default_for(permit));
  }
  TRY_ASSIGN(const VolumeName volume, parse_volume_name(chosen));
  if (!permit.allows(Scope::kRead, volume.disk)) {
    guard_.note_refused(permit, "open", volume.text());
    return no_disk_named(volume.disk);
  }
  TRY_ASSIGN(auto handle, exports_.open_export(chosen));
  if (!permit.allows(Scope::kWrite, volume.disk)) handle->forbid_writing();
  guard_.note_allowed(permit, handle->may_write() ? "open" : "open read-only", volume.text());
  return handle;
}

}  // namespace casdisk
