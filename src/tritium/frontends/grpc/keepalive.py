"""When an idle or old connection is asked for a sign of life, or to end. Takes ``now``; owns no timer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

_INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class KeepaliveRules:
    """As the channel arguments of grpc-core; the defaults are those of tritonserver."""

    time_s: float = 7200.0  # --grpc-keepalive-time: silence before a ping is sent
    timeout_s: float = 20.0  # --grpc-keepalive-timeout: silence after it before the connection is cut
    permit_without_calls: bool = False  # --grpc-keepalive-permit-without-calls
    max_pings_without_data: int = 2  # --grpc-http2-max-pings-without-data; 0: any number
    max_age_s: float = _INFINITE  # --grpc-max-connection-age
    max_age_grace_s: float = _INFINITE  # --grpc-max-connection-age-grace: for calls under way
    handshake_s: float = 10.0  # tritium's: from connecting to the first request or SETTINGS
    write_timeout_s: float = 60.0  # tritium's: a client that takes nothing for so long is cut


class Step(Enum):
    """What to do about a connection."""

    NOTHING = auto()
    PING = auto()
    SHUT_DOWN = auto()
    ABORT = auto()


class Keepalive:
    """The clocks of one connection. ``age_factor`` spreads the ages of connections, as grpc-core by ±10 %."""

    __slots__ = ("_begun_s", "_heard_s", "_max_age_s", "_pinged_s", "_pings", "_rules", "_shut_down_s")

    def __init__(self, rules: KeepaliveRules, now_s: float, *, age_factor: float = 1.0) -> None:
        self._rules = rules
        self._begun_s = self._heard_s = now_s
        self._max_age_s = rules.max_age_s * age_factor
        self._pinged_s: float | None = None
        self._pings = 0  # since data was sent
        self._shut_down_s: float | None = None

    def heard(self, now_s: float) -> None:
        """Something was received."""
        self._heard_s = now_s
        self._pinged_s = None

    def sent_data(self) -> None:
        """A reply was sent, so that pings are welcome again."""
        self._pings = 0

    def next_step(self, now_s: float, *, calls: int) -> Step:
        """What to do now, with so many calls under way."""
        rules = self._rules
        if self._shut_down_s is not None:
            return Step.ABORT if now_s - self._shut_down_s >= rules.max_age_grace_s else Step.NOTHING
        if now_s - self._begun_s >= self._max_age_s:
            self._shut_down_s = now_s
            return Step.SHUT_DOWN
        if self._pinged_s is not None:
            return Step.ABORT if now_s - self._pinged_s >= rules.timeout_s else Step.NOTHING
        allowed = calls or rules.permit_without_calls
        spent = 0 < rules.max_pings_without_data <= self._pings
        if allowed and not spent and now_s - self._heard_s >= rules.time_s:
            self._pinged_s = now_s
            self._pings += 1
            return Step.PING
        return Step.NOTHING
