#include "nbd/cli/checkpoint_group.h"

#include "index/group_checkpoint.h"
#include "nbd/control/served_disk.h"

namespace casdisk {
namespace {

struct Members {
  std::vector<std::unique_ptr<CutMember>> all;
  std::vector<std::shared_ptr<Disk>> here;
  std::vector<ServedCutMember*> served;  // of `all`
};

Result<void> add_member(Store& store, const std::string& name, unsigned threads, Members& members) {
  return here_or_at_server(
      store, name,
      [&]() -> Result<void> {
        TRY_ASSIGN(auto disk, Disk::open(store, name, {}));
        TRY(disk->make_room_for_cut(threads, [](uint64_t) {}));
        members.all.push_back(std::make_unique<DiskCutMember>(disk));
        members.here.push_back(std::move(disk));
        return {};
      },
      [&](std::unique_ptr<ControlClient> server) -> Result<void> {
        auto member = std::make_unique<ServedCutMember>(name, std::move(server));
        members.served.push_back(member.get());
        members.all.push_back(std::move(member));
        return {};
      });
}

Result<void> seal_at_server(ServedCutMember& member) {
  ControlRequest request = request_for(member.disk(), ControlOperation::kSeal);
  request.what = SealWhat::kFrozen;
  request.wait = true;
  TRY(member.client().call(request, [](uint64_t) {}));
  return {};
}

}  // namespace

Result<std::chrono::microseconds> make_group_checkpoint(Store& store,
                                                        const GroupCheckpoint& group) {
  Members members;
  for (const std::string& name : group.disks) {
    TRY(add_member(store, name, group.threads, members));
  }
  TRY_ASSIGN(auto held, checkpoint_group(store, members.all, group.cut));
  for (const auto& disk : members.here) TRY(disk->seal(group.threads, [](uint64_t) {}));
  if (group.wait) {
    for (ServedCutMember* member : members.served) TRY(seal_at_server(*member));
  }
  return held;
}

}  // namespace casdisk
