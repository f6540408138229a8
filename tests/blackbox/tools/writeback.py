"""Writeback: the kernel's write-back of dirty pages, made to happen in the life of a short test."""

import ctypes
import os
import random
import threading


class Writeback:
    """Writes dirty pages of the store back at random moments, as the kernel does after seconds, and
    without flushing the disk: a round takes less time than that, and so do most lives of a bug."""

    def __init__(self, folder, file_bytes, seed):
        self.folder, self.file_bytes = folder, file_bytes
        self.rng = random.Random(f"{seed}/writeback")
        self.stopping = threading.Event()
        self.sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        start_write = 2  # SYNC_FILE_RANGE_WRITE
        while not self.stopping.wait(self.rng.choice((0.0005, 0.002, 0.02))):
            paths = [os.path.join(folder, name) for folder, _, names in os.walk(self.folder)
                     for name in names]
            try:
                file = os.open(self.rng.choice(paths), os.O_RDONLY)
            except (OSError, IndexError):
                continue
            begin = self.rng.choice((0, self.rng.randrange(self.file_bytes)))
            length = self.rng.choice((0, 64 * 1024))  # 0: to the end
            self.sync_file_range(file, ctypes.c_int64(begin), ctypes.c_int64(length), start_write)
            os.close(file)

    def stop(self):
        self.stopping.set()
        self.thread.join()
