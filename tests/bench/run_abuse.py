"""How long a polite client waits for its answers beside one abuser of the same server, and without it."""

import statistics
import sys
from dataclasses import dataclass

from run_common import table
from run_servers import Servers

# Microseconds: what the polite client should not exceed beside any one abuser.
GOALS = {"median": 1000, "p99": 20000}


@dataclass(frozen=True)
class Abuse:
    kind: str
    title: str
    mode: str = "ws"  # of the server


ABUSES = [
    Abuse("bombs", "messages of 10 MiB when inflated", "deflate"),
    Abuse("tiny", "empty messages"),
    Abuse("pings", "pings"),
    Abuse("fragments", "empty fragments"),
    Abuse("newlines", "newlines to text://", "text"),
    Abuse("unread", "reads no answer"),
    Abuse("open-close", "opens and resets"),
]


class Abuses(Servers):
    name = "abuse"
    cases = ABUSES

    def timed(self, peer, case, seconds):
        """What the generator printed, None if the server cannot do it."""
        result = self.load(peer, case.mode, ["abuse", "--kind", case.kind, "-d", seconds])
        return result and {name: float(result[name].rstrip("%")) for name in result if name not in ("mode", "kind")}


def measure_abuse(suite, args):
    rows = []
    for case in suite.cases:
        for peer in suite.peers:
            print(f"\r{case.title}, {peer:40}", end="", file=sys.stderr, flush=True)
            runs = [run for _ in range(args.rounds) if (run := suite.timed(peer, case, args.seconds))]
            if runs:
                rows.append([case.title, peer, *compare(runs)])
    print(file=sys.stderr)
    goals = " and ".join(f"{name} {limit} us" for name, limit in GOALS.items())
    print(f"A polite client's wait for its answer, in microseconds. Goal beside one abuser: {goals}")
    table(["one abuser", "peer", *(f"{name} {head}" for name in GOALS for head in ("quiet", "abused", "ratio")),
           "worst", "busy", ""], rows)
    print(f"{sum(row[-1] != '' for row in rows)} of {len(rows)} over the goal", flush=True)


def compare(runs):
    """The cells of one row: of each figure the median of the runs, of the worst the worst."""
    cells = []
    over = False
    for name, limit in GOALS.items():
        quiet, abused = (statistics.median(run[f"{when}_{name}_us"] for run in runs)
                         for when in ("quiet", "abused"))
        cells += [f"{quiet:.0f}", f"{abused:.0f}", f"{abused / quiet:.1f}"]
        over = over or abused > limit
    worst = max(run["abused_max_us"] for run in runs)
    busy = statistics.median(run["srv_busy"] for run in runs)
    return [*cells, f"{worst:.0f}", f"{busy:.0f}%", "over the goal" if over else ""]
