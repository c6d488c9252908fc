#!/usr/bin/env python3
"""Measures websocket clients against one fixed echo server; README.md says what the numbers mean.

    run.py DIR               times, all clients interleaved, medians and ratios to bare epoll
    run.py DIR --callgrind   user-space instructions for each round trip
    run.py DIR --calls       system calls for each round trip
    run.py DIR --check       instructions and calls of ours against the limits below; exit status 1 if one is exceeded

DIR is the folder of the built programs.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CLIENTS = ["epoll", "libuv", "beast", "workerman"]
OURS = "workerman"
CONNS = [1, 100]
SIZES = [20, 1024, 16384]

# At most so much for each round trip of ours. The instructions are those with 100 connections, where one turn
# of the loop serves many messages; with one connection each message pays for a whole turn of libuv's loop.
INSTRUCTIONS = {20: 800, 1024: 1200, 16384: 8000}
LIBUV_TURN = 420
CALLS = {"send": 1.02, "receive": 1.02, "wait": 1.02, "control": 0.01, "random": 0.05}
CPU_RATIO = 1.1  # to bare epoll, with 100 connections: shown, never checked, as times depend on the machine

WARMUP = 1000
COUNTS = (2000, 12000)  # two runs of different length: what start-up and shut-down cost falls out


def fail(why):
    sys.exit(f"run.py: {why}")


class Bench:
    """The programs of one build folder, with the fixed server running."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        cores = sorted(os.sched_getaffinity(0))
        pin = shutil.which("taskset") and len(cores) >= 2
        self.server_pin = ["taskset", "-c", str(cores[0])] if pin else []
        self.client_pin = ["taskset", "-c", str(cores[1])] if pin else []

    def __enter__(self):
        server = [*self.server_pin, self.program("bench-loadgen"), "ws-serve"]
        self.server = subprocess.Popen(server, stdout=subprocess.PIPE, text=True)
        started = re.match(r"port=(\d+)", self.server.stdout.readline())
        if not started:
            fail("the server did not start")
        self.port = started[1]
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.communicate()

    def program(self, name):
        return str(self.folder / name)

    def has(self, client):
        return os.access(self.program("bench-client-" + client), os.X_OK)

    def run(self, client, conns, size, count, before=(), env=None):
        """One run of a client. Returns its results, numbers as float."""
        command = [*self.client_pin, *before, self.program("bench-client-" + client)]
        command += ["--port", self.port, "--conns", str(conns), "--size", str(size)]
        command += ["--count", str(count), "--warmup", str(WARMUP)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                              env={**os.environ, **(env or {})})
        if done.returncode != 0:
            fail(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr.strip()}")
        pairs = dict(word.split("=", 1) for word in done.stdout.split())
        return {name: value if name == "client" else float(value) for name, value in pairs.items()}

    def instructions(self, client, conns, size):
        """Exact user-space instructions for each round trip."""
        totals = []
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "callgrind.out"
            for count in COUNTS:
                valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
                self.run(client, conns, size, count, before=valgrind)
                totals.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)[1]))
        return (totals[1] - totals[0]) / (COUNTS[1] - COUNTS[0])

    def calls(self, client, conns, size):
        """System calls of each kind for each round trip."""
        count = COUNTS[1]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "calls"
            env = {"LD_PRELOAD": self.program("libbench-count-calls.so"), "BENCH_CALLS": str(out)}
            self.run(client, conns, size, count, env=env)
            pairs = (word.split("=") for word in out.read_text().split())
            return {name: int(value) / count for name, value in pairs}


def cases(args):
    return [(conns, size) for conns in args.conns for size in args.sizes]


def title(conns, size):
    return f"{conns} x {size} B"


def instruction_limit(conns, size):
    return INSTRUCTIONS[size] + (LIBUV_TURN if conns == 1 else 0)


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [str(cell).ljust(width) if i < 2 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("| " + " | ".join(cells) + " |")


def ratio_to_epoll(results, conns, size, client):
    """The median over the rounds of the ratio inside each round."""
    if (conns, size, "epoll") not in results:
        return ""
    pairs = zip(results[conns, size, client], results[conns, size, "epoll"])
    return f"{statistics.median(ours['cpu_us'] / theirs['cpu_us'] for ours, theirs in pairs):.2f}"


def measure_times(bench, args):
    results = {}
    for done in range(args.rounds):
        print(f"\rround {done + 1} of {args.rounds}", end="", file=sys.stderr, flush=True)
        for conns, size in cases(args):
            count = args.count or (5000 if conns == 1 else 50000)
            for client in args.clients:  # interleaved: a slow minute of the machine meets all of them
                results.setdefault((conns, size, client), []).append(bench.run(client, conns, size, count))
    print(file=sys.stderr)
    rows = []
    for conns, size in cases(args):
        median = {client: {key: statistics.median(run[key] for run in results[conns, size, client])
                           for key in ("rt_per_s", "cpu_us")} for client in args.clients}
        for client in args.clients:
            ratio = ratio_to_epoll(results, conns, size, client)
            goal = f"<= {CPU_RATIO}" if client == OURS and conns > 1 else ""
            rows.append([title(conns, size), client, f"{median[client]['rt_per_s']:.0f}",
                         f"{median[client]['cpu_us']:.2f}", ratio, goal])
    table(["connections x payload", "client", "round trips/s", "CPU us", "to epoll", "goal"], rows)


def measure_instructions(bench, args):
    rows = [[title(conns, size), client, f"{bench.instructions(client, conns, size):.0f}",
             f"<= {instruction_limit(conns, size)}" if client == OURS and size in INSTRUCTIONS else ""]
            for conns, size in cases(args) for client in args.clients]
    table(["connections x payload", "client", "instructions", "goal"], rows)


def measure_calls(bench, args):
    rows = []
    for conns, size in cases(args):
        for client in args.clients:
            calls = bench.calls(client, conns, size)
            rows.append([title(conns, size), client, *(f"{calls[name]:.3f}" for name in CALLS)])
    table(["connections x payload", "client", *CALLS], rows)


def check(bench, args):
    rows, exceeded = [], 0
    for conns, size in cases(args):
        measured = {"instructions": bench.instructions(OURS, conns, size), **bench.calls(OURS, conns, size)}
        limits = {"instructions": instruction_limit(conns, size), **CALLS}
        for name, limit in limits.items():
            good = measured[name] <= limit
            exceeded += not good
            digits = 0 if name == "instructions" else 3
            rows.append([title(conns, size), name, f"{measured[name]:.{digits}f}", limit,
                         "" if good else "EXCEEDED"])
    table(["connections x payload", "for each round trip", "ours", "at most", ""], rows)
    print(f"{exceeded} of {len(rows)} limits exceeded")
    return 1 if exceeded else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    mode = parser.add_mutually_exclusive_group()
    for name in ("callgrind", "calls", "check"):
        mode.add_argument("--" + name, dest="mode", action="store_const", const=name)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=None, help="default: all that are built")
    parser.add_argument("--conns", nargs="+", type=int, default=CONNS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="payload bytes")
    parser.add_argument("--rounds", type=int, default=5, help="of timed runs (default 5)")
    parser.add_argument("--count", type=int, default=0, help="round trips of a timed run")
    args = parser.parse_args()

    bench = Bench(args.folder)
    wanted = args.clients or ([OURS] if args.mode == "check" else CLIENTS)
    args.clients = [client for client in wanted if bench.has(client)]
    missing = [client for client in wanted if client not in args.clients]
    if missing:
        print("not built: " + ", ".join(missing), file=sys.stderr)
    if not args.clients or (args.mode == "check" and OURS not in args.clients):
        fail("nothing to measure in " + args.folder)
    if args.mode in ("callgrind", "check") and not shutil.which("valgrind"):
        fail("valgrind is missing: install it")
    if args.mode == "check" and not set(args.sizes) <= set(INSTRUCTIONS):
        fail("there are no limits for these sizes")

    measure = {None: measure_times, "callgrind": measure_instructions, "calls": measure_calls, "check": check}
    with bench:
        return measure[args.mode](bench, args)


if __name__ == "__main__":
    sys.exit(main())
