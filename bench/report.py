"""What came of the rows: a table for people, JSON for programs, a picture."""

import json
import platform
import statistics
from html import escape

from bench.place import run


def machine():
    """What the figures were measured on."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        memory_kib = int(next(line for line in file if line.startswith("MemTotal")).split()[1])

    def version(*command):
        try:
            return run(*command).splitlines()[0]
        except Exception:  # a peer that is not there has no version
            return "none"
    return {"cpu": models[0] if models else platform.machine(), "cpus": len(models), "memory_gib": round(memory_kib / 1048576),
            "kernel": platform.release(),
            "versions": {"nbdkit": version("nbdkit", "--version"), "qemu-img": version("qemu-img", "--version"),
                         "fio": version("fio", "--version")}}


def figure(value, unit):
    if unit == "1/s" and value >= 10_000:
        return f"{value / 1000:.0f}k"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def spread(values):
    return f"{min(values):.2f}-{max(values):.2f}"


class Judged:
    """A row's outcome in words and numbers."""

    def __init__(self, outcome):
        self.outcome, self.row = outcome, outcome.row
        self.whole = [name for name, samples in outcome.samples.items() if samples and name not in outcome.failures]
        self.ours = next(iter(outcome.samples), None)
        self.is_measured = self.ours in self.whole

    def ratio(self, peer):
        return statistics.median(self.outcome.ratios(peer))

    def verdict(self, target):
        """None where the peer, or ours, has no figure."""
        if not self.is_measured or target.peer not in self.whole:
            return None
        return self.ratio(target.peer) >= target.at_least

    def cpu_verdict(self):
        target = self.row.cpu_target
        ratio = self.outcome.cpu_ratio(target.peer) if target and self.is_measured and target.peer in self.whole else None
        return None if ratio is None else ratio <= target.at_least


def lines_of(outcome):
    """Of the Markdown table: a line for each peer."""
    judged, row = Judged(outcome), outcome.row
    if not judged.is_measured:
        why = outcome.failures.get(judged.ours) or "; ".join(outcome.failures.values()) or "nothing was measured"
        return [f"| {row.name} | | not measured: {' '.join(why.split())[:200]} | | | |"]
    ours = figure(outcome.median(judged.ours), row.unit)
    cpu = outcome.cpu_us(judged.ours)
    first = f"| {row.name} | {ours} {row.unit}" + (f", {cpu:.1f} us" if cpu is not None else "")
    lines = []
    targets = {target.peer: target for target in row.targets}
    for peer in outcome.samples:
        if peer == judged.ours:
            continue
        if peer not in judged.whole:
            lines.append(f"{first} | {peer}: {' '.join(outcome.failures.get(peer, 'no figure').split())[:120]} | | | |")
        else:
            ratios = outcome.ratios(peer)
            theirs = outcome.cpu_us(peer)
            target = targets.get(peer)
            goal = "" if not target else f"{target.at_least:.2f} {'met' if judged.verdict(target) else '**missed**'}"
            lines.append(f"{first} | {peer} {figure(outcome.median(peer), row.unit)}"
                         + (f", {theirs:.1f} us" if theirs is not None else "")
                         + f" | **{judged.ratio(peer):.2f}** | {spread(ratios)} | {goal} |")
        first = "| |"
    if row.cpu_target and judged.cpu_verdict() is not None:
        ratio = outcome.cpu_ratio(row.cpu_target.peer)
        lines.append(f"| | | its server's CPU for each operation, {row.cpu_target.peer} | **{ratio:.2f}** | | "
                     f"at most {row.cpu_target.at_least:.2f} {'met' if judged.cpu_verdict() else '**missed**'} |")
    return lines or [f"{first} | | | | |"]


def markdown(outcomes, rounds, limits):
    about = machine()
    lines = [f"{about['cpu']}, {about['cpus']} CPUs, {about['memory_gib']} GiB, Linux {about['kernel']}; "
             + ", ".join(about["versions"].values()) + f". Medians of {rounds} rounds.", *limits, "",
             "| row | casdisk | peer | ratio | spread | target |", "|---|---|---|---|---|---|"]
    for outcome in outcomes:
        lines += lines_of(outcome)
    notes = [f"{outcome.row.name}: {outcome.row.note}." for outcome in outcomes if outcome.row.note]
    return "\n".join(lines + ([""] + notes if notes else [])) + "\n"


def as_json(outcomes, rounds, limits):
    rows = []
    for outcome in outcomes:
        judged = Judged(outcome)
        rows.append({
            "name": outcome.row.name, "unit": outcome.row.unit, "lower_is_better": outcome.row.lower_is_better,
            "subjects": {name: [{"value": sample.value, "server_cpu_us": sample.cpu_us, **sample.extra} for sample in samples]
                         for name, samples in outcome.samples.items()},
            "ratios": {peer: judged.ratio(peer) for peer in judged.whole if judged.is_measured and peer != judged.ours},
            "targets": [{"peer": target.peer, "at_least": target.at_least, "met": judged.verdict(target)}
                        for target in outcome.row.targets],
            "failures": outcome.failures})
    return json.dumps({"machine": machine(), "limits": limits, "rounds": rounds, "rows": rows}, indent=1) + "\n"


def picture(outcomes):
    """Ratios as dots on a logarithmic axis, a line for each row and peer; targets are ticks."""
    import math
    dots = []
    for outcome in outcomes:
        judged = Judged(outcome)
        if not judged.is_measured:
            continue
        targets = {target.peer: target.at_least for target in outcome.row.targets}
        for peer in judged.whole:
            if peer != judged.ours:
                dots.append((outcome.row.name, peer, outcome.ratios(peer), targets.get(peer)))
    left, width, line, top = 470, 460, 20, 44
    low, high = math.log10(0.1), math.log10(10)

    def x(ratio):
        return left + width * (min(max(math.log10(max(ratio, 1e-9)), low), high) - low) / (high - low)
    height = top + line * len(dots) + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="18" font-size="14">casdisk beside its peers: ratio (right is better), '
             'median and spread; the tick is the target</text>']
    for ratio in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        parts.append(f'<line x1="{x(ratio):.1f}" x2="{x(ratio):.1f}" y1="{top - 8}" y2="{height - 22}" '
                     f'stroke="{"#333" if ratio == 1 else "#ddd"}"/>'
                     f'<text x="{x(ratio):.1f}" y="{height - 8}" text-anchor="middle">{ratio:g}</text>')
    before = None
    for i, (name, peer, ratios, target) in enumerate(dots):
        y = top + line * i + 6
        middle = statistics.median(ratios)
        color = "#555" if target is None else "#1a7f37" if middle >= target else "#cf222e"
        if name != before:
            parts.append(f'<text x="10" y="{y + 4}">{escape(name)}</text>')
        parts.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end" fill="#555">{escape(peer)}</text>'
                     f'<line x1="{x(min(ratios)):.1f}" x2="{x(max(ratios)):.1f}" y1="{y}" y2="{y}" stroke="{color}"/>'
                     f'<circle cx="{x(middle):.1f}" cy="{y}" r="4" fill="{color}"/>')
        if target is not None:
            parts.append(f'<line x1="{x(target):.1f}" x2="{x(target):.1f}" y1="{y - 7}" y2="{y + 7}" stroke="#0969da" stroke-width="2"/>')
        before = name
    return "\n".join(parts + ["</svg>"]) + "\n"
