"""Websocket and TCP servers under load: echo, broadcast, opening and closing connections, idle memory."""

from dataclasses import dataclass, field

from run_common import Certificates, Server

SERVERS = ["epoll", "libuv", "beast", "websocketpp", "libwebsockets", "workerman"]

# What a server is asked to do, and the generator's mode for it.
MODES = {"ws": ("ws", "ws-echo"), "wss": ("wss", "wss-echo"), "tcp": ("tcp", "tcp-echo"),
         "broadcast": ("broadcast", "broadcast"), "open+close": ("ws", "connect"),
         "handshake": ("wss", "handshake"), "resumption": ("wss", "resumption")}

IDLE_CONNECTIONS = 10000
# At most so much resident memory for each of ours.
IDLE_BYTES = {"ws": 640, "wss": 15000}


@dataclass(frozen=True)
class Case:
    kind: str
    conns: int = 1
    size: int = 20
    depth: int = 1
    counts: tuple = (2000, 12000)
    limits: dict = field(default_factory=dict, compare=False)
    key: str = "P-256"  # of the certificate

    @property
    def title(self):
        if self.kind == "open+close":
            return "ws open+close"
        if self.is_handshake:
            return f"TLS {self.kind}, {self.key}"
        size = "1 MiB" if self.size == 1 << 20 else f"{self.size} B"
        return f"{self.kind} {self.conns} x {size}" + (f", {self.depth} deep" if self.depth > 1 else "")

    @property
    def is_handshake(self):
        return self.kind in ("handshake", "resumption")

    def load(self):
        return [MODES[self.kind][1], "-c", self.conns, "-s", self.size, "-P", self.depth]


# 16,000 messages, 16 in flight on each of 100 connections: one read and one write serve 16 of them.
SIXTEENTH = 1150 / 16000

CASES = [
    Case("ws", 1, 20),
    Case("ws", 100, 20, limits={"instructions": 700}),
    Case("ws", 100, 20, 16, (1600, 17600),
         {"instructions": 350, "send": SIXTEENTH, "receive": SIXTEENTH}),
    Case("ws", 100, 1024, limits={"instructions": 1000}),
    Case("ws", 100, 1024, 16, (1600, 17600)),
    Case("ws", 100, 16384, 1, (500, 2500), {"instructions": 6000}),
    Case("ws", 8, 1 << 20, 1, (40, 120)),
    Case("tcp", 100, 20),
    Case("tcp", 100, 20, 16, (1600, 17600)),
    Case("tcp", 100, 16384, 1, (500, 2500)),
    Case("tcp", 8, 1 << 20, 1, (40, 120)),
    Case("broadcast", 1000, 20, 1, (16000, 48000)),
    Case("broadcast", 1000, 20, 16, (16000, 48000)),
    Case("broadcast", 1000, 1024, 1, (16000, 48000)),
    Case("open+close", counts=(200, 1200), limits={"instructions": 17000}),
    # Nearly all of these are OpenSSL's own: limits for 3.0, with AES in hardware.
    Case("wss", 100, 20, limits={"instructions": 13800}),
    Case("wss", 100, 20, 16, (1600, 17600), {"instructions": 1350, "send": SIXTEENTH, "receive": SIXTEENTH}),
    Case("wss", 100, 1024, limits={"instructions": 19600}),
    Case("wss", 100, 16384, 1, (500, 2500), {"instructions": 190000}),
    Case("wss", 100, 1 << 20, 1, (200, 400)),
    Case("handshake", counts=(50, 150), limits={"instructions": 2650000}),
    Case("handshake", counts=(50, 150), key="RSA-2048"),
    Case("resumption", counts=(50, 150)),
]


class Servers:
    name = "servers"
    unit = "message"
    cases = CASES

    def __init__(self, programs, extra):
        self.programs = programs
        self.peers = {**programs.of_peers("bench-server-", SERVERS), **extra}
        self.certificates = Certificates()

    def load(self, peer, mode, arguments, before=(), env=None, key="P-256"):
        """Runs the generator against a fresh server. Returns what it printed, None if the server cannot do it."""
        options = ["0", self.certificates.file(key)] if mode == "wss" else []
        with Server(self.programs, self.peers[peer], [mode, *options], before, env) as server:
            if server.port is None:
                return None
            command = [self.programs.path("bench-loadgen"), *arguments, "-p", server.port, "--pid", server.pid]
            return self.programs.run_client(command)

    def run(self, peer, case, count, before=(), env=None):
        return self.load(peer, MODES[case.kind][0], [*case.load(), "-n", count], before, env, case.key)

    def timed(self, peer, case, seconds):
        result = self.load(peer, MODES[case.kind][0], [*case.load(), "-d", seconds], key=case.key)
        if result is None:
            return None
        return {"per_s": float(result.get("msg_per_s") or result["conn_per_s"]), "cpu_us": float(result["srv_us"])}

    def idle_bytes(self, peer, mode):
        """Resident bytes for each websocket connection that does nothing, None if the server has none."""
        result = self.load(peer, mode, [mode + "-idle", "-c", IDLE_CONNECTIONS])
        return float(result["bytes_per_conn"]) if result else None
