"""Adds up one `meson test` run: python3 summary.py testlog.json

Prints "PASSED FAILED". A doctest program counts with its test cases, a script
that says `N passed, N failed` with those, every other test as one. A program that failed without naming a failed case (it
crashed, hung, or leaked after the last one) counts as one failure.
"""

import json
import re
import sys

CASES = re.compile(
    r"^(?:\[doctest\] test cases:\s*\d+ \||(?:[\w-]+:)?)\s*(\d+) passed(?:,| \|)\s*(\d+) failed", re.MULTILINE
)


def count(test):
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    cases = CASES.findall(re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout") or ""))
    passed = sum(int(case[0]) for case in cases)
    failed = sum(int(case[1]) for case in cases)
    if test["result"] == "SKIP":
        return 0, 0
    if not cases:
        return (1, 0) if good else (0, 1)
    return passed, failed if good else max(failed, 1)


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        counts = [count(json.loads(line)) for line in log if line.strip()]
    print(sum(passed for passed, _ in counts), sum(failed for _, failed in counts))


main()
