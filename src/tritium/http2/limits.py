"""The bounds on what a client may ask of an HTTP/2 connection, and the guards that watch rates."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``burst`` at once, and ``per_s`` a second in the long run."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class PingRules:
    """How often a client may ping while the server sends nothing: as grpc-core, that permits no pings without
    calls."""

    min_interval_s: float = 300.0  # --grpc-http2-min-recv-ping-interval-without-data
    max_strikes: int = 2  # --grpc-http2-max-ping-strikes; 0: any number
    idle_interval_s: float = 7200.0  # while no stream is open


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """Bounds per connection. Where nothing else is said the default is tritium's."""

    max_concurrent_streams: int = 1024  # grpc-core has no limit; more wait in the client
    max_header_list_bytes: int = 16384  # as grpc-core; a longer list is refused, no more
    max_header_block_bytes: int = 65536  # decoded and encoded; the connection ends beyond it
    max_continuations: int = 32  # frames of one header block
    max_frame_bytes: int = (
        4 << 20
    )  # grpc-core sends as long ones as it may; each has a beginning that is copied
    stream_window_bytes: int = 1 << 20  # received and not consumed, per stream; one long message may pass it
    connection_window_bytes: int = 16 << 20
    send_high_water_bytes: int = 256 << 10  # a stream with more unsent bytes is not writable ...
    send_low_water_bytes: int = 64 << 10  # ... until it has no more than this
    max_settings: int = 64  # parameters in one frame
    max_idle_control_frames: int = 10_000  # WINDOW_UPDATE, PRIORITY and unknown ones while no request moves
    resets: Rate = Rate(per_s=200, burst=1000)  # CVE-2023-44487, CVE-2025-8671
    settings: Rate = Rate(per_s=10, burst=100)  # CVE-2019-9515
    empty_frames: Rate = Rate(per_s=100, burst=1000)  # CVE-2019-9518
    pings: PingRules = field(default_factory=PingRules)  # CVE-2019-9512


class RateGuard:
    """Counts events against a rate."""

    __slots__ = ("_rate", "_since_s", "_spent")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._spent = 0.0
        self._since_s = 0.0

    def exceeded(self, now_s: float) -> bool:
        """One more event: whether there are too many."""
        self._spent = max(0.0, self._spent - (now_s - self._since_s) * self._rate.per_s) + 1.0
        self._since_s = now_s
        return self._spent > self._rate.burst


class PingGuard:
    """Counts pings that come too soon after one another."""

    __slots__ = ("_last_s", "_rules", "_strikes")

    def __init__(self, rules: PingRules) -> None:
        self._rules = rules
        self._last_s: float | None = None
        self._strikes = 0

    def forgive(self) -> None:
        """The server sent HEADERS or DATA."""
        self._last_s = None
        self._strikes = 0

    def exceeded(self, now_s: float, *, idle: bool) -> bool:
        """One more ping: whether there are too many. ``idle``: no stream is open."""
        rules, last_s = self._rules, self._last_s
        self._last_s = now_s
        interval_s = rules.idle_interval_s if idle else rules.min_interval_s
        if last_s is None or now_s - last_s >= interval_s:
            return False
        self._strikes += 1
        return 0 < rules.max_strikes < self._strikes
