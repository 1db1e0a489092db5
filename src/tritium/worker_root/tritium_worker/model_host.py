"""One model.py in this process: imported, completed, initialised, run and finalised.

    load -> [autocomplete] -> initialize -> execute* -> finalize

Whatever model code raises, ``sys.exit`` and KeyboardInterrupt included, becomes a HostError here and does
not end the worker.
"""

from __future__ import annotations

import asyncio
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
from types import ModuleType
from typing import Any, Awaitable, Dict, List, Optional, Sequence

from tritium_worker.errors import HostError, TritonError
from tritium_worker.exact_timers import new_event_loop
from tritium_worker.failure import FailureReporter
from tritium_worker.model_config import ModelConfig
from tritium_worker.process import PROCESS
from tritium_worker.request import RELEASE_RESCHEDULE, InferenceRequest
from tritium_worker.response import InferenceResponse

__all__ = ["HostError", "ModelHost"]

_CLASS_NAME = "TritonPythonModel"


class ModelHost:
    """Runs the ``TritonPythonModel`` of ``<model_dir>/<version>/<filename>``.

    Args:
        model_dir: the model's directory in the repository.
        version: a directory in it.
        filename: the python file in that; an absolute path where a python-based backend brings the file.
        name: the model's name, which stands for ``model_dir`` in texts that clients see.
        debug_errors: clients see whole tracebacks.
    """

    def __init__(
        self, model_dir: str, version: str, filename: str, name: str, *, debug_errors: bool = False
    ) -> None:
        self._model_dir = os.path.abspath(model_dir)
        self.version = version
        self.name = name
        self._path = os.path.join(self._model_dir, version, filename)
        self._is_shared = os.path.isabs(filename)  # by the models of a python-based backend
        backend_dir = os.path.dirname(filename) if self._is_shared else ""
        self._shown_path = f"{name}/{version}/{filename}"
        if backend_dir:
            self._shown_path = f"{os.path.basename(backend_dir)}/{os.path.basename(filename)}"
        self._failures = FailureReporter(self._model_dir, name, debug=debug_errors, backend_dir=backend_dir)
        self._model_class: Any = None
        self._model: Any = None
        self._execute: Any = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self.decoupled = False  # any number of responses for a request, all by its sender
        self.is_async = False  # ``execute`` is a coroutine function
        self.has_is_ready = False

    def load(self) -> None:
        """Import the file as ``<version>.<stem>``, with its version and model directories on ``sys.path``.

        One that models share is imported by its stem alone, with its own directory on ``sys.path``.

        Raises:
            HostError: there is no such file, it fails to import, or it has no class.
        """
        if not os.path.isfile(self._path):
            raise _internal(f"Python model file not found in '{self._shown_path}'")
        self._let_import()
        try:
            module = import_file(self._path, "" if self._is_shared else self.version)
        except BaseException as error:
            raise self._failures.host_error(error) from error
        if not hasattr(module, _CLASS_NAME):
            raise _internal(f"AttributeError: module '{module.__name__}' has no attribute '{_CLASS_NAME}'")
        self._model_class = getattr(module, _CLASS_NAME)

    def autocomplete(self, config: Dict[str, Any]) -> Dict[str, Any]:
        """What the model's ``auto_complete_config`` makes of ``config``; ``config`` itself without one.

        Raises:
            HostError: it raised, returned something else than a ModelConfig, or made what JSON cannot say.
        """
        if not hasattr(self._model_class, "auto_complete_config"):
            return config
        try:
            completed = self._model_class.auto_complete_config(ModelConfig(json.dumps(config)))
            if isinstance(completed, ModelConfig):
                updated: Dict[str, Any] = json.loads(json.dumps(completed.as_dict()))
                return updated
        except BaseException as error:
            raise self._failures.host_error(error) from error
        raise _internal(
            f"auto_complete_config function in model '{self.name}' must return a valid pb.ModelConfig object."
        )

    def initialize(self, args: Dict[str, str]) -> None:
        """Make the model and call its ``initialize``, if it has one.

        Args:
            args: the seven strings of Triton: model_config (JSON), model_instance_kind, model_instance_name,
                model_instance_device_id, model_repository, model_version, model_name.

        Raises:
            HostError: the model raised.
        """
        try:
            self._model = self._model_class()
            if hasattr(self._model, "initialize"):
                self._model.initialize(dict(args))
            self._execute = getattr(self._model, "execute", None)
            self.is_async = inspect.iscoroutinefunction(self._execute)
            self.has_is_ready = callable(getattr(self._model, "is_ready", None))
            policy = json.loads(args.get("model_config", "{}")).get("model_transaction_policy", {})
            self.decoupled = bool(policy.get("decoupled", False))
        except BaseException as error:
            raise self._failures.host_error(error) from error

    def execute(self, requests: Sequence[InferenceRequest]) -> List[Optional[InferenceResponse]]:
        """Run one batch.

        Returns:
            Per request, in order: its response, or None where a response sender answers it, now or later, or
            where it goes back to its scheduler.

        Raises:
            HostError: for all requests: the model raised, has no ``execute``, or returned something else.
        """
        if self._execute is None:
            raise _internal(f"Python model {self._shown_path} does not implement `execute` method.")
        try:
            responses = self._execute(list(requests))
            if type(responses) is not list and inspect.isawaitable(responses):
                responses = self.loop().run_until_complete(_result(responses))
        except BaseException as error:
            raise self._failures.host_error(error) from error
        return self._checked(responses, requests)

    async def execute_async(self, requests: Sequence[InferenceRequest]) -> List[Optional[InferenceResponse]]:
        """As ``execute``, for an ``async def execute``, on the running loop."""
        try:
            responses = await self._execute(list(requests))
        except BaseException as error:
            raise self._failures.host_error(error) from error
        return self._checked(responses, requests)

    def is_ready(self) -> bool:
        """What the model's own ``is_ready`` says; callable from any thread.

        Raises:
            HostError: it raised, or is a coroutine function.
        """
        try:
            ready = self._model.is_ready()
            if not inspect.isawaitable(ready):
                return bool(ready)
        except BaseException as error:
            raise self._failures.host_error(error) from error
        if inspect.iscoroutine(ready):
            ready.close()
        raise _internal(f"is_ready of model '{self.name}' must return a bool and not be a coroutine")

    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the model's coroutines: one for its life, for the connections it keeps."""
        if self._loop is None:
            self._loop = new_event_loop()
        return self._loop

    def finalize(self) -> Optional[str]:
        """Call the model's ``finalize``, if any; the traceback for the log if it raised. Never raises."""
        model, self._model, self._execute = self._model, None, None
        try:
            try:
                if hasattr(model, "finalize"):
                    model.finalize()
            finally:
                if self._loop is not None:
                    self._loop.close()
        except BaseException as error:
            return self._failures.host_error(error).traceback
        return None

    def _let_import(self) -> None:
        """Put the directories of the file's modules on ``sys.path``."""
        version_dir = os.path.join(self._model_dir, self.version)
        own = (version_dir, self._model_dir)
        for directory in (os.path.dirname(self._path),) if self._is_shared else own:
            if directory not in sys.path:
                sys.path.append(directory)
        PROCESS.version_dir = version_dir

    def _checked(
        self, responses: Any, requests: Sequence[InferenceRequest]
    ) -> List[Optional[InferenceResponse]]:
        if responses is None:
            responses = [None] * len(requests)
        elif self.decoupled:
            raise _internal(
                f"Python model '{self.name}' is using the decoupled mode and the execute function must "
                "return None."
            )
        if not isinstance(responses, list):
            raise _internal(f"Expected a list in the execute return, found type '{type(responses)}'.")
        if len(responses) != len(requests):
            raise _internal(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size "
                f"is:{len(responses)}\n"
            )
        for position, response in enumerate(responses):
            if response is None:
                responses[position] = self._without_response(requests[position])
            elif not isinstance(response, InferenceResponse):
                raise _internal(
                    "Expected an 'InferenceResponse' object in the execute function return list, found type "
                    f"'{type(response)}'."
                )
            else:
                self._check_released(requests[position], response)
        return responses

    def _without_response(self, request: InferenceRequest) -> Optional[InferenceResponse]:
        if request._sender is not None or request._release == RELEASE_RESCHEDULE:
            return None
        if self.decoupled:
            request.get_response_sender()  # which answers when the model lets go of the request
            return None
        return InferenceResponse(
            error=TritonError(
                f"Model '{self.name}' returned no response for this request: execute returned None. Return "
                "one pb_utils.InferenceResponse per request, or answer it by request.get_response_sender()."
            )
        )

    def _check_released(self, request: InferenceRequest, response: InferenceResponse) -> None:
        """Allow a response only to a request that goes nowhere else and has none yet."""
        if request._release == RELEASE_RESCHEDULE:
            raise _internal(  # "reschduled" is Triton's spelling
                "Expected a None object in the execute function return list for reschduled request, found "
                f"type '{type(response)}'."
            )
        if request._sender is not None and not request._sender.close():
            raise _internal(
                "Unable to send response. Response sender has been closed: a request that was answered by "
                "its response sender is None in the list that execute returns."
            )


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _internal(text: str) -> HostError:
    return HostError(TritonError.INTERNAL, text)


def import_file(path: str, version: str) -> ModuleType:
    """The module at ``path`` as ``<version>.<stem>``, in a package that holds its siblings.

    Args:
        version: empty for a module without a package.
    """
    name = os.path.splitext(os.path.basename(path))[0]
    if version:
        package = ModuleType(version)
        package.__path__ = [os.path.dirname(path)]
        sys.modules[version] = package
        name = f"{version}.{name}"
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
