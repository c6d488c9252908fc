"""Websocket clients, each playing ping-pong with the bare epoll server."""

from dataclasses import dataclass

from run_common import Server

CLIENTS = ["epoll", "libuv", "beast", "workerman"]

# At most so many instructions for each round trip of ours, with 100 connections, where one turn of the loop
# serves many messages; with one connection each message pays for a whole turn: of libuv's loop, and of the set
# of sockets inside it, each with its own wait.
INSTRUCTIONS = {20: 800, 1024: 1200, 16384: 8000}
WHOLE_TURN = 450
# How many messages a turn finds depends on the server's pace: one at least, for two waits.
CALLS = {"send": 1.02, "receive": 1.02, "wait": 2.02, "control": 0.01, "random": 0.05}


@dataclass(frozen=True)
class Case:
    conns: int
    size: int
    counts = (2000, 12000)

    @property
    def title(self):
        return f"ws client, {self.conns} x {self.size} B"

    @property
    def limits(self):
        instructions = INSTRUCTIONS[self.size]
        return {"instructions": instructions + (WHOLE_TURN if self.conns == 1 else 0), **CALLS}


CASES = [Case(conns, size) for conns in (1, 100) for size in INSTRUCTIONS]


class Clients:
    name = "clients"
    unit = "round trip"
    cases = CASES

    def __init__(self, programs, _extra):
        self.programs = programs
        self.peers = programs.of_peers("bench-client-", CLIENTS)

    def run(self, peer, case, count, before=(), env=None):
        """One run of a client. Returns what it printed."""
        with Server(self.programs, self.programs.path("bench-server-epoll"), ["ws"]) as server:
            command = [self.peers[peer], "--port", server.port, "--conns", case.conns, "--size", case.size]
            return self.programs.run_client([*command, "--count", count], before, env)

    def timed(self, peer, case, seconds):
        # One connection spends its time asleep: a fifth as many round trips take as long.
        result = self.run(peer, case, int(seconds * (10000 if case.conns == 1 else 50000)))
        return {"per_s": float(result["rt_per_s"]), "cpu_us": float(result["cpu_us"])}
