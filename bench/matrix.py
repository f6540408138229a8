"""Rows of the comparison: subjects that do the same work in turn, and what came of it.

A row names its subjects; the first is ours. Each round measures all of them, A B A B..., in an order that
rotates. What counts is the median of the ratios of the rounds, ours to the peer's of the same round: a
machine that slows down slows both."""

import os
import statistics
import sys
from dataclasses import dataclass, field
from typing import Callable

from bench.place import Failed


@dataclass
class Target:
    peer: str
    at_least: float  # ratio


@dataclass
class Row:
    name: str
    unit: str
    # Called once: gives {subject: function that measures once, a Sample}, ours first. What it opens it
    # leaves to `bench.at_end`.
    subjects: Callable
    targets: list = field(default_factory=list)
    lower_is_better: bool = False
    quick: bool = True  # part of --quick
    cpu_target: Target | None = None
    note: str = ""


@dataclass
class Outcome:
    row: Row
    samples: dict = field(default_factory=dict)  # subject: [Sample]
    failures: dict = field(default_factory=dict)  # subject: why there is none

    def median(self, subject):
        return statistics.median(sample.value for sample in self.samples[subject])

    def cpu_us(self, subject):
        known = [sample.cpu_us for sample in self.samples[subject] if sample.cpu_us is not None]
        return statistics.median(known) if known else None

    def ratios(self, peer):
        """Of each round, above 1 where ours is better."""
        ours = next(iter(self.samples))
        pairs = zip(self.samples[ours], self.samples[peer])
        return [(b.value / a.value if self.row.lower_is_better else a.value / b.value) for a, b in pairs]

    def cpu_ratio(self, peer):
        ours, theirs = self.cpu_us(next(iter(self.samples))), self.cpu_us(peer)
        return ours / theirs if ours and theirs else None


def measure(row, bench, rounds):
    outcome = Outcome(row)
    try:
        subjects = row.subjects(bench)
        for subject in subjects:
            outcome.samples[subject] = []
        names = list(subjects)
        for i in range(rounds):
            for name in names[i % len(names):] + names[:i % len(names)]:
                if name in outcome.failures:
                    continue
                os.sync()  # what one subject leaves to be written is not the next one's burden
                try:
                    outcome.samples[name].append(subjects[name]())
                except Failed as failure:
                    outcome.failures[name] = str(failure)
            print(".", end="", file=sys.stderr, flush=True)
    finally:
        bench.end_row()
    return outcome
