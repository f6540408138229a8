#!/usr/bin/env bash
# Block status of 2^32-1 bytes, where the extent around it is larger, answers and leaves the server alive.
# nbdkit 1.32 aborts when a plugin reports more than was asked for (CVE-2025-47711).
. "$(dirname "$0")/functions.sh"
requires python3 -c 'import nbd'

export CASDISK_STORE=$tmp/store
"$CASDISK" init
"$CASDISK" create wide --size 8T
start_nbdkit store="$tmp/store" disk=wide

python3 - "$uri" <<'PYTHON'
import nbd, sys
HOLE = nbd.STATE_HOLE | nbd.STATE_ZERO

def status(h, count, offset, flags=0):
    found = []
    def extent(context, at, entries, error):
        found.extend(zip(entries[::2], entries[1::2]))
        return 0
    h.block_status(count, offset, extent, flags)
    return found

def connected():
    h = nbd.NBD()
    h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    h.connect_uri(sys.argv[1])
    return h

h = connected()
whole = (1 << 32) - 1
size = h.get_size()
for offset in (0, 1, 4096, 5 << 30, size - whole):
    assert status(h, whole, offset) == [(whole, HOLE)], offset

# With data in the way: in ascending order, each no larger than what was asked for.
h.pwrite(b"x" * 4096, 1 << 30)
h.pwrite(b"y" * 100, (2 << 30) + 5)
found = status(h, whole, 0)
assert found == [(1 << 30, HOLE), (4096, 0), ((1 << 30) - 4096, HOLE), (4096, 0),
                 (whole - (2 << 30) - 4096, HOLE)], found
assert status(h, whole, 0, nbd.CMD_FLAG_REQ_ONE) == [(1 << 30, HOLE)]
assert status(h, 1, (1 << 30) + 4095) == [(1, 0)]

# A great many extents: as many as fit an answer, from the beginning.
small = 4096
for i in range(300):
    h.pwrite(b"z" * small, (8 << 30) + 2 * i * small)
found = status(h, 1 << 30, 8 << 30)
assert len(found) == 600 and found[0] == (small, 0) and found[1] == (small, HOLE), len(found)

# Neither a zero nor a trim of nearly 4 GiB walks it chunk by chunk.
h.zero(whole, 1 << 20, nbd.CMD_FLAG_FAST_ZERO)
h.trim(whole, size - whole)
assert status(connected(), whole, 0) in ([(whole, HOLE)], [(whole, 2)])
PYTHON
kill -0 "$nbdkit_pid"
