"""From a command line of tritonserver to ``ServerOptions``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tritium.cli.backend_settings import merged
from tritium.cli.long_options import OptionSyntaxError, split_options
from tritium.cli.settings import options_from
from tritium.cli.triton_flag import NoEffect, Refused, Silences, TritonFlag, Works
from tritium.cli.triton_flags import all_flags
from tritium.options import ServerOptions

PROGRAM = "tritonserver"
ALL_MODELS = "*"

Given = tuple[TritonFlag, str, object]  # the flag, its value as it was written, its value


class UsageError(Exception):
    """A wrong command line: shown below the usage text."""


class HelpRequestedError(UsageError):
    """``--help``: the usage text is the answer."""


class RefusedFlagsError(Exception):
    """Flags that ask for what is not offered; the text has a line for each."""


class CreationError(Exception):
    """Legal flags of which no server can be made; the text is tritonserver's."""


def parse(argv: Sequence[str]) -> list[Given]:
    """The flags of ``argv`` with their values, in their order.

    Raises:
        UsageError: an unknown flag or a value that is none; at the first.
    """
    flags = {flag.name: flag for flag in all_flags()}
    takes_value = {name: flag.parse is not None for name, flag in flags.items()}
    given: list[Given] = []
    try:
        for name, text in split_options(argv, takes_value, program=PROGRAM):
            if name == "help":
                raise HelpRequestedError
            given.append((flags[name], text or "", _value(flags[name], text)))
    except OptionSyntaxError as error:
        raise UsageError(str(error)) from error
    return given


def _value(flag: TritonFlag, text: str | None) -> object:
    if flag.parse is None or text is None:
        return True
    try:
        return flag.parse(text)
    except ValueError as error:
        raise UsageError(f'Bad option: "--{flag.name}".\n{error}') from error


def refuse(given: Sequence[Given]) -> None:
    """Refuse flags that ask for what is not offered.

    Raises:
        RefusedFlagsError: names all of them.
    """
    switched_off = {flag.name for flag, _, value in given if value is False}
    lines = []
    for flag, text, value in given:
        reason = _refusal(flag, value, switched_off)
        if reason:
            shown = f"--{flag.name} {text}".rstrip()
            lines.append(f"error: {shown}: {reason}; remove the flag")
    if lines:
        raise RefusedFlagsError("\n".join(lines))


def _refusal(flag: TritonFlag, value: object, switched_off: set[str]) -> str | None:
    effect = flag.effect
    if isinstance(effect, Works):
        return dict(effect.refuses).get(value) if effect.refuses else None
    if not isinstance(effect, Refused) or value in effect.allows or effect.moot_without in switched_off:
        return None
    return effect.reason


def options_of(given: Sequence[Given]) -> ServerOptions:
    """What the flags ask for; of a flag that is not to be repeated, the last counts.

    Raises:
        UsageError: --load-model without explicit model control.
        CreationError: no server can be made so.
    """
    settings: dict[str, object] = {"http.address": "0.0.0.0"}
    lists: dict[str, list[object]] = {}
    silenced: set[str] = set()
    for flag, _, value in given:
        match flag.effect:
            case Works(setting, repeated=True):
                lists.setdefault(setting, []).append(value)
            case Works(setting):
                settings[setting] = value
            case Silences(level):
                (silenced.discard if value else silenced.add)(level)
            case NoEffect() | Refused():
                pass
    settings |= _startup_models(lists, settings)
    settings["model_repositories"] = tuple(lists.get("model_repositories", ()))
    settings["rate_limit_resources"] = tuple(lists.get("rate_limit_resources", ()))
    settings["log_silenced"] = frozenset(silenced)
    settings["model_config_name"] = settings.get("model_config_name") or None
    settings["backend_config"] = _backend_config(lists)
    settings["cache_config"] = tuple(item for item in lists.get("cache_config", ()) if item is not None)
    return options_from(settings)


def _startup_models(lists: Mapping[str, list[object]], settings: Mapping[str, object]) -> dict[str, object]:
    names = [str(name) for name in lists.get("startup_models", ())]
    explicit = settings.get("model_control_mode") == "explicit"
    if names and not explicit:
        raise UsageError(
            "Error: Use of '--load-model' requires setting '--model-control-mode=explicit' as well."
        )
    if not explicit:
        return {}
    if names == [ALL_MODELS]:
        return {"startup_models": None}
    return {"startup_models": tuple(dict.fromkeys(names))}


def _backend_config(lists: Mapping[str, list[object]]) -> dict[str, dict[str, str]]:
    result: dict[str, dict[str, str]] = {}
    for item in lists.get("backend_config", ()):
        assert isinstance(item, tuple)
        result = merged(result, *item)
    return result


def check_creation(options: ServerOptions) -> None:
    """Refuse options that tritonserver takes and then cannot make a server of.

    Raises:
        CreationError: with tritonserver's last line.
    """
    if not options.model_repositories:
        raise _creation_error("Invalid argument", "--model-repository must be specified")
    for repository in options.model_repositories:
        if not repository.exists():
            raise _creation_error("Internal", f"failed to stat file {repository}")
        if not repository.is_dir():
            raise _creation_error("Invalid argument", f"--model-repository {repository} is not a directory")
    names = options.startup_models or ()
    if ALL_MODELS in names and len(names) > 1:
        raise _creation_error(
            "Invalid argument",
            f"Wildcard model name '{ALL_MODELS}' must be the ONLY startup model if specified at all.",
        )


def _creation_error(code: str, message: str) -> CreationError:
    return CreationError(f"error: creating server: {code} - {message}")
