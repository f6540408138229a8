"""ProcessWatch: what a process holds (descriptors, threads, memory), and that it gives it back."""

import os
import time

# A sanitizer keeps memory back, and more for each thread: what a server holds of it says nothing then.
COUNTS_MEMORY = "CASDISK_SANITIZED" not in os.environ
# What comes and goes by itself: a seal in the background with its files.
SLACK_DESCRIPTORS, SLACK_THREADS = 6, 3


class ProcessWatch:
    def __init__(self, pid):
        self.pid = pid
        self.begin()

    def begin(self):
        """From here on nothing may grow."""
        self.descriptors, self.threads, self.memory_kib = self.now()

    def wait_until_quiet(self):
        """begin(), once nothing has changed for a third of a second."""
        quiet_since = time.monotonic()
        while time.monotonic() < quiet_since + 0.3:
            time.sleep(0.02)
            if self.now()[:2] != (self.descriptors, self.threads):
                quiet_since = time.monotonic()
            self.begin()

    def now(self):
        """(descriptors, threads, resident KiB)"""
        with open(f"/proc/{self.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return (len(os.listdir(f"/proc/{self.pid}/fd")), int(fields["Threads"]),
                int(fields["VmRSS"].split()[0]))

    def check_given_back(self, what, most_memory_mib, seconds=20):
        """All descriptors and threads are given back soon, and most of the memory."""
        end = time.monotonic() + seconds
        while True:
            descriptors, threads, memory_kib = self.now()
            grown_mib = (memory_kib - self.memory_kib) / 1024
            if (descriptors <= self.descriptors + SLACK_DESCRIPTORS and
                    threads <= self.threads + SLACK_THREADS and
                    (grown_mib <= most_memory_mib or not COUNTS_MEMORY)):
                return grown_mib
            assert time.monotonic() < end, (
                f"after {what}: {self.descriptors} -> {descriptors} descriptors, {self.threads} -> "
                f"{threads} threads, {grown_mib:.1f} MiB more (at most {most_memory_mib})")
            time.sleep(0.05)
