#include "nbd/image/nbd_door.h"

#include "cas/os/module.h"

namespace casdisk {

Result<const NbdDoor*> nbd_door() { return door_of<NbdDoor>("casdisk-libnbd"); }

}  // namespace casdisk
