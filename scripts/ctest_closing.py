"""Passes on what ctest prints and puts why tests were skipped before its closing lines.

    ctest --output-junit REPORT | python3 ctest_closing.py REPORT

ctest names the skipped tests at its very end but never says why; the reason is what the test printed.
"""

import re
import sys
import xml.etree.ElementTree as xml


def reason(output):
    """The line of a skipped test's output that says why: a script's "SKIP: ..." or GTEST_SKIP's text."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if line.startswith("SKIP: "):
            return line[len("SKIP: "):]
        if re.match(r"\S+:\d+: Skipped$", line) and index + 1 < len(lines):
            return lines[index + 1]
    return lines[-1] if lines else "it did not say why"


def skipped(report):
    """(name, reason) of every test that the report calls skipped."""
    try:
        cases = xml.parse(report).getroot().iter("testcase")
    except (OSError, xml.ParseError):
        return  # no test ran; ctest has said so
    for case in cases:
        if case.find("skipped") is not None:
            yield case.get("name"), reason(case.findtext("system-out") or "")


def main(report):
    closing = []
    for line in sys.stdin:
        if closing or re.match(r"\d+% tests passed, ", line):
            closing.append(line)
        else:
            print(line, end="", flush=True)
    reasons = list(skipped(report))
    if reasons:
        print("Skipped:")
        for name, why in reasons:
            print(f"  {name}: {why}")
        print()
    print("".join(closing), end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
