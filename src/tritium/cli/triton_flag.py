"""What a flag of tritonserver is here: it works, it has no effect and is accepted, or it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from tritium.cli.triton_values import TritonParse


@dataclass(frozen=True, slots=True)
class Works:
    """The value goes to ``setting``; the values of ``refuses`` are refused with their reasons.

    Without a ``setting`` the parser of the command line acts by itself.
    """

    setting: str
    repeated: bool = False
    refuses: tuple[tuple[object, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Silences:
    """False leaves out the lines of a log level; true brings them back."""

    level: str


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Accepted: there is nothing here that it could change."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An error: it asks for what is not offered.

    The values of ``allows`` ask for what happens anyway. All are accepted when the flag ``moot_without`` is
    given as false, because then tritonserver ignores this one too.
    """

    reason: str
    allows: tuple[object, ...] = ()
    moot_without: str = ""


Effect = Works | Silences | NoEffect | Refused


@dataclass(frozen=True, slots=True)
class TritonFlag:
    """One flag, named without its dashes. Without a ``parse`` it takes no value and stands for true."""

    name: str
    parse: TritonParse | None
    effect: Effect
    help: str
    replaced_by: str = ""  # deprecated flags: what to write instead
