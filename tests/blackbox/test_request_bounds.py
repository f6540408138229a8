#!/usr/bin/python3 -B
"""Requests at the end of a disk are carried out, those beyond it are refused and change nothing; so are
requests that are too large. The server lives on."""

import errno

import functions as f
from functions import nbd

SIZE = (1 << 20) + 4096 + 777  # whole in neither chunks nor blocks

f.casdisk("init")
f.casdisk("create", "a", "--size", str(SIZE))
server = f.Nbdkit("disk=a")
h = f.connected(server.uri, strict_mode=0)  # sends what it knows to be wrong
assert h.get_size() == SIZE

# The last bytes, torn and whole, in every way to write them.
for offset, length in ((SIZE - 1, 1), (SIZE - 777, 777), (SIZE - 778, 778), (SIZE - 5000, 5000), (0, SIZE)):
    data = bytes(i * 7 % 251 + 1 for i in range(length))
    h.pwrite(data, offset, nbd.CMD_FLAG_FUA)
    assert h.pread(length, offset) == data
h.zero(100, SIZE - 100)
assert h.pread(100, SIZE - 100) == bytes(100)
h.trim(777, SIZE - 777)
h.cache(SIZE, 0)
h.flush()
before = h.pread(SIZE, 0)


def refused(request, *expected):
    try:
        request()
    except nbd.Error as error:
        assert error.errnum in expected, error
    else:
        raise AssertionError("a request beyond the end succeeded")


for offset, length in ((SIZE, 1), (SIZE - 1, 2), (SIZE - 4096, 4097), (0, SIZE + 1), (1 << 62, 4096),
                       ((1 << 63) - 1, 1)):
    refused(lambda: h.pread(length, offset), errno.EINVAL)
    refused(lambda: h.pwrite(b"x" * length, offset), errno.EINVAL, errno.ENOSPC)
    refused(lambda: h.zero(length, offset), errno.EINVAL, errno.ENOSPC)
    refused(lambda: h.trim(length, offset), errno.EINVAL)
    refused(lambda: h.cache(length, offset), errno.EINVAL)
# Lengths that no buffer has to hold.
for length in ((1 << 32) - 1, 1 << 31):
    refused(lambda: h.zero(length, 0), errno.EINVAL, errno.ENOSPC)
    refused(lambda: h.trim(length, 4096), errno.EINVAL)
assert h.pread(SIZE, 0) == before

# Larger than the server's largest request: refused, or the connection ends; the disk is as it was.
f.casdisk("create", "large", "--size", "256M")
large = f.Nbdkit("disk=large")
h = f.connected(large.uri, strict_mode=0)
data = bytes(range(1, 256)) * (1 << 18)
h.pwrite(data[:32 << 20], 12345)
assert h.pread(32 << 20, 12345) == data[:32 << 20]
refused(lambda: h.pread((64 << 20) + 1, 0), errno.EINVAL, errno.EIO, errno.ENOTCONN, errno.ERANGE)
assert f.connected(large.uri).pread(32 << 20, 12345) == data[:32 << 20]
assert server.process.poll() is None and large.process.poll() is None
