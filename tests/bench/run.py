#!/usr/bin/env python3
"""Measures ours beside its peers, clients and servers; README.md says what the numbers mean.

    run.py DIR               times, all peers interleaved: medians, ratios; memory of idle connections
    run.py DIR --callgrind   user-space instructions for each message
    run.py DIR --calls       system calls for each message
    run.py DIR --abuse       a polite client's latency beside each kind of abuser
    run.py DIR --check       ours against its limits; exit status 1 if one is exceeded. Looks at instructions,
                             calls and memory only, never at times

DIR is the folder of the built programs.
"""

import argparse
import re
import statistics
import sys

from run_abuse import Abuses, measure_abuse
from run_clients import Clients
from run_common import OURS, REFERENCE, CallCounter, Callgrind, Programs, fail, per_unit, table
from run_servers import IDLE_BYTES, IDLE_CONNECTIONS, Servers


def ratio(results, case, peer, to):
    """The median over the rounds of the ratio of CPU inside each round."""
    if (case, to) not in results or (case, peer) not in results:
        return ""
    pairs = zip(results[case, peer], results[case, to])
    return f"{statistics.median(one['cpu_us'] / other['cpu_us'] for one, other in pairs):.2f}"


def measure_times(suite, args):
    results = {}
    for done in range(args.rounds):
        for case in suite.cases:
            print(f"\r{suite.name}, round {done + 1} of {args.rounds}: {case.title:30}", end="", file=sys.stderr,
                  flush=True)
            for peer in suite.peers:  # interleaved: a slow minute of the machine meets all of them
                result = suite.timed(peer, case, args.seconds)
                if result:
                    results.setdefault((case, peer), []).append(result)
    print(file=sys.stderr)
    rows = []
    for case, peer in ((case, peer) for case in suite.cases for peer in suite.peers if (case, peer) in results):
        per_s, cpu = (statistics.median(run[key] for run in results[case, peer]) for key in ("per_s", "cpu_us"))
        rows.append([case.title, peer, f"{per_s:.0f}", f"{cpu:.3f}", ratio(results, case, peer, REFERENCE),
                     "" if peer == OURS else ratio(results, case, OURS, peer)])
    table(["case", "peer", f"{suite.unit}s/s", "CPU us", f"to {REFERENCE}", "ours to it"], rows)
    measure_idle(suite, args)


def idle_title(mode):
    return f"{IDLE_CONNECTIONS} idle {mode} connections"


def measure_idle(suite, args):
    if not isinstance(suite, Servers) or not args.idle:
        return
    rows = [[idle_title(mode), peer, f"{size:.0f}"] for mode in IDLE_BYTES for peer in suite.peers
            if (size := suite.idle_bytes(peer, mode)) is not None]
    table(["case", "peer", "bytes each"], rows)


def measure_per_unit(suite, args, instrument, columns, digits):
    rows = []
    for case in suite.cases:
        for peer in suite.peers:
            print(f"\r{case.title}, {peer:40}", end="", file=sys.stderr, flush=True)
            result = per_unit(suite, peer, case, instrument)
            if result:
                rows.append([case.title, peer, *(f"{result[name]:.{digits}f}" for name in columns)])
    print(file=sys.stderr)
    table([f"for each {suite.unit}", "peer", *columns], rows)


def measure_instructions(suite, args):
    measure_per_unit(suite, args, Callgrind(suite.programs), ["instructions"], 0)


def measure_calls(suite, args):
    measure_per_unit(suite, args, CallCounter(suite.programs), CallCounter.KINDS, 4)


def check(suite, args):
    """@return the number of limits that are exceeded."""
    rows = []

    def judge(title, name, measured, limit, digits):
        rows.append([title, name, f"{measured:.{digits}f}", f"{limit:.{digits}f}",
                     "" if measured <= limit else "EXCEEDED"])

    for case in suite.cases:
        measured = {}
        for instrument, kinds in ((Callgrind, ["instructions"]), (CallCounter, CallCounter.KINDS)):
            if set(kinds) & set(case.limits):
                measured.update(per_unit(suite, OURS, case, instrument(suite.programs)))
        for name, limit in case.limits.items():
            judge(case.title, name, measured[name], limit, 0 if name == "instructions" else 4)
    if isinstance(suite, Servers) and args.idle:
        for mode, limit in IDLE_BYTES.items():
            judge(idle_title(mode), "bytes", suite.idle_bytes(OURS, mode), limit, 0)
    table([f"for each {suite.unit}", "of", "ours", "at most", ""], rows)
    exceeded = sum(row[-1] != "" for row in rows)
    print(f"{suite.name}: {exceeded} of {len(rows)} limits exceeded", flush=True)
    return exceeded


MEASURES = {None: measure_times, "callgrind": measure_instructions, "calls": measure_calls, "check": check,
            "abuse": measure_abuse}


def server_option(text):
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError("NAME=PATH is needed")
    return name, path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    mode = parser.add_mutually_exclusive_group()
    for name in ("callgrind", "calls", "abuse", "check"):
        mode.add_argument("--" + name, dest="mode", action="store_const", const=name)
    parser.add_argument("--only", choices=["clients", "servers"])
    parser.add_argument("--case", metavar="REGEX", default="", help="cases whose title has a match ('idle' too)")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="default: all that are built")
    parser.add_argument("--server", action="append", default=[], type=server_option, metavar="NAME=PATH",
                        help="one more server: a program as bench-server-epoll is one")
    parser.add_argument("--rounds", type=int, default=5, help="of timed runs (default 5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="about, of each timed run (default 0.5)")
    args = parser.parse_args()
    args.idle = re.search(args.case, "idle") is not None
    return args


def main():
    args = arguments()
    programs = Programs(args.folder)
    kinds = [kind for kind in (Clients, Servers) if args.only in (None, kind.name)]
    if args.mode == "abuse":
        kinds = [Abuses]
    suites = [kind(programs, dict(args.server)) for kind in kinds]
    exceeded = 0
    for suite in suites:
        suite.cases = [case for case in suite.cases if re.search(args.case, case.title)]
        wanted = [OURS] if args.mode == "check" else args.peers or suite.peers
        suite.peers = {name: path for name, path in suite.peers.items() if name in wanted}
        if not suite.peers or (args.mode == "check" and OURS not in suite.peers):
            fail("nothing to measure in " + args.folder)
        exceeded += MEASURES[args.mode](suite, args) or 0
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
