"""What the runs of clients and of servers share: the machine, the built programs, the instruments, tables."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = "workerman"
REFERENCE = "epoll"


def fail(why):
    sys.exit(f"\nrun.py: {why}")


class Programs:
    """The programs of one build folder. Servers get the first core, clients and the generator the second."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        cores = sorted(os.sched_getaffinity(0))
        pin = shutil.which("taskset") and len(cores) >= 2
        self.server_pin = ["taskset", "-c", str(cores[0])] if pin else []
        self.client_pin = ["taskset", "-c", str(cores[1])] if pin else []

    def path(self, name):
        return str(self.folder / name)

    def has(self, name):
        return os.access(self.path(name), os.X_OK)

    def of_peers(self, prefix, names):
        """Those of the peers that are built, by name. Says which are missing."""
        built = {name: self.path(prefix + name) for name in names if self.has(prefix + name)}
        missing = [name for name in names if name not in built]
        if missing:
            print(f"not built: {prefix}{{{','.join(missing)}}}", file=sys.stderr)
        return built

    def run_client(self, arguments, before=(), env=None):
        """Runs a client or the generator to its end. Returns the name=value pairs that it prints."""
        command = [*self.client_pin, *before, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                              env={**os.environ, **(env or {})})
        if done.returncode != 0:
            fail(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr.strip()}")
        return dict(word.split("=", 1) for word in done.stdout.split())


class Server:
    """A running server; `port` is None if it does not have this mode. SIGTERM ends it, with status 0."""

    def __init__(self, programs, path, arguments, before=(), env=None):
        command = [*programs.server_pin, *before, path, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        started = re.match(r"port=(\d+) pid=(\d+)", self.process.stdout.readline())
        self.port, self.pid = started.groups() if started else (None, None)
        if self.port is None and self.process.wait() != 2:
            fail(f"{' '.join([path, *arguments])} did not start: {self.process.stderr.read().strip()}")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if self.port is None:
            return
        self.process.terminate()
        try:
            _, errors = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            fail("a server did not end")
        if failure is None and self.process.returncode != 0:
            fail(f"a server ended with status {self.process.returncode}: {errors.strip()}")


class Certificates:
    """Self-signed certificates, each in a file with its key; gone when this program ends."""

    KEYS = {"P-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "RSA-2048": ["-newkey", "rsa:2048"]}

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()

    def file(self, key):
        pem = Path(self.folder.name) / f"{key}.pem"
        if not pem.exists():
            command = ["openssl", "req", "-x509", "-nodes", "-batch", "-subj", "/CN=localhost", "-days", "30",
                       *self.KEYS[key], "-keyout", pem, "-out", f"{pem}.certificate"]
            subprocess.run(command, check=True, capture_output=True)
            pem.write_text(pem.read_text() + Path(f"{pem}.certificate").read_text())
        return str(pem)


class Callgrind:
    """Counts user-space instructions, exactly."""

    def __init__(self, programs):
        if not shutil.which("valgrind"):
            fail("valgrind is missing: install it")

    def measure(self, run):
        """`run` gets what to put before a command and into its environment. False: nothing was run."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "callgrind.out"
            valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
            if not run(before=valgrind, env={}):
                return None
            return {"instructions": int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)[1])}


class CallCounter:
    """Counts system calls of each kind."""

    KINDS = ["send", "receive", "wait", "control", "random"]

    def __init__(self, programs):
        self.library = programs.path("libbench-count-calls.so")

    def measure(self, run):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "calls"
            if not run(before=[], env={"LD_PRELOAD": self.library, "BENCH_CALLS": str(out)}):
                return None
            return {name: int(value) for name, value in (word.split("=") for word in out.read_text().split())}


def per_unit(suite, peer, case, instrument):
    """What one message (round trip, connection) costs, or None if the peer cannot do this.

    Two runs of different length are subtracted: start-up, handshakes and shut-down fall out."""
    sums = []
    for count in case.counts:
        sums.append(instrument.measure(lambda before, env: suite.run(peer, case, count, before, env)))
        if sums[-1] is None:
            return None
    units = case.counts[1] - case.counts[0]
    return {name: (sums[1][name] - sums[0][name]) / units for name in sums[0]}


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [str(cell).ljust(width) if i < 2 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("| " + " | ".join(cells) + " |")
    print(flush=True)
