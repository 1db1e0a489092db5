"""What model code raised, as text for clients and as a traceback for the log."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import List, Optional

from tritium_worker.errors import HostError, TritonError

_CALLER_OF_MODEL_CODE = "tritium_worker.model_host"
_IMPORT_MACHINERY = "<frozen importlib"


class FailureReporter:
    """Makes HostErrors that name files relative to the model repository.

    Args:
        model_dir: absolute; shown to clients as ``model_name``.
        debug: clients get the whole traceback as it stands.
        backend_dir: absolute, of the python-based backend that the model uses, if it does.
    """

    def __init__(
        self, model_dir: str, model_name: str, *, debug: bool = False, backend_dir: str = ""
    ) -> None:
        self._debug = debug
        repository = os.path.dirname(model_dir)
        self._replacements = [(model_dir, f"{model_name}/"), (os.path.realpath(model_dir), f"{model_name}/")]
        if backend_dir:
            self._replacements.append((backend_dir, f"{os.path.basename(backend_dir)}/"))
        if repository != os.path.dirname(repository):  # not the root of the file system
            self._replacements.append((repository, ""))

    def host_error(self, error: BaseException) -> HostError:
        """INTERNAL, with Triton's text: ``<Type>: <message>``, then the frames, innermost first."""
        text = f"{type(error).__name__}: {self.without_server_paths(_message(error))}"
        places = self._places(error.__traceback__)
        if places:
            text += "\n\nAt:\n" + "".join(f"  {place}\n" for place in places)
        log_text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return HostError(TritonError.INTERNAL, log_text if self._debug else text, log_text)

    def without_server_paths(self, text: str) -> str:
        """``text`` with files named relative to the repository, or to where they are imported from."""
        for directory, shown in self._replacements:
            text = text.replace(directory + os.sep, shown)
        if os.sep in text:
            roots = [entry.rstrip(os.sep) for entry in sys.path if os.path.isabs(entry)]
            for root in sorted(filter(None, roots), key=len, reverse=True):
                text = text.replace(root + os.sep, "")
        return text

    def _places(self, trace: Optional[TracebackType]) -> List[str]:
        places: List[str] = []
        inside_model = False
        while trace is not None:
            code = trace.tb_frame.f_code
            inside_model = inside_model or trace.tb_frame.f_globals.get("__name__") != _CALLER_OF_MODEL_CODE
            if inside_model and not code.co_filename.startswith(_IMPORT_MACHINERY):
                places.append(f"{self._shown(code.co_filename)}({trace.tb_lineno}): {code.co_name}")
            trace = trace.tb_next
        return places[::-1]

    def _shown(self, filename: str) -> str:
        shown = self.without_server_paths(filename)
        return os.path.basename(shown) if os.path.isabs(shown) else shown


def _message(error: BaseException) -> str:
    try:
        return str(error) or "<EMPTY MESSAGE>"
    except Exception:  # the model's own __str__ failed; the type and the place are still worth telling
        return "<message unavailable>"
