// Threads whose work can wait.
#pragma once

namespace casdisk {

// The calling thread, and all that it starts from now on, gives way to others, for cores and for
// the device. As far as the system lets it: failures do not matter.
void give_way_to_others();

}  // namespace casdisk
