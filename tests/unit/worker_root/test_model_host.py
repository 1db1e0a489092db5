from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritium_worker.errors import TritonError
from tritium_worker.model_host import HostError, ModelHost
from tritium_worker.request import InferenceRequest
from tritium_worker.tensor import input_tensor, wire_buffer

HostFactory = Callable[..., ModelHost]

IDENTITY = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUT", pb_utils.get_input_tensor_by_name(r, "IN").as_numpy())]
            )
            for r in requests
        ]
"""


def request(value: float = 0.0) -> InferenceRequest:
    buffer = memoryview(bytearray(np.float32(value).tobytes()))
    return InferenceRequest._received([input_tensor("IN", "FP32", (1, 1), buffer)], ["OUT"], b"", None)


def executing(body: str, helper: str = "") -> str:
    return (
        "import triton_python_backend_utils as pb_utils\n"
        "class TritonPythonModel:\n"
        "    def execute(self, requests):\n"
        f"        {body}\n"
        f"{helper}"
    )


def failure_of(call: Callable[[], Any]) -> HostError:
    with pytest.raises(HostError) as raised:
        call()
    error: HostError = raised.value
    assert error.code == TritonError.INTERNAL
    return error


def failed_load(make_host: HostFactory, source: str | None, files: dict[str, str] | None = None) -> HostError:
    return failure_of(make_host(source, files).load)


def opened(make_host: HostFactory, source: str, files: dict[str, str] | None = None) -> ModelHost:
    host = make_host(source, files)
    host.load()
    host.initialize({"model_name": "m"})
    return host


def test_runs_a_batch_in_order_and_without_a_copy(make_host: HostFactory) -> None:
    host = opened(make_host, IDENTITY)
    requests = [request(value) for value in (1.0, 2.0, 3.0)]
    responses = host.execute(requests)
    outputs = [response.output_tensors()[0] for response in responses if response is not None]
    assert [output.as_numpy()[0, 0] for output in outputs] == [1.0, 2.0, 3.0]
    sent = np.frombuffer(wire_buffer(outputs[0])[2], np.uint8)
    assert np.shares_memory(sent, requests[0].inputs()[0].as_numpy())


def test_a_model_gets_tritons_arguments_once(make_host: HostFactory) -> None:
    host = make_host(
        """
        import triton_python_backend_utils as pb_utils
        class TritonPythonModel:
            def initialize(self, args):
                self.args = args
            def execute(self, requests):
                return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(self.args), 3))]
        """
    )
    host.load()
    host.initialize({"model_name": "m", "model_version": "1"})
    response = host.execute([request()])[0]
    assert response is not None
    error = response.error()
    assert error is not None
    assert (error.message(), error.code()) == ("{'model_name': 'm', 'model_version': '1'}", 3)


def test_a_model_imports_its_siblings_each_way_that_triton_allows(make_host: HostFactory) -> None:
    source = """
        import os
        import sibling
        from . import sibling as relative
        from .sibling import WORD
        import triton_python_backend_utils as pb_utils
        class TritonPythonModel:
            def execute(self, requests):
                assert sibling.WORD == relative.WORD == WORD == "hi"
                assert pb_utils.get_model_dir() == os.path.dirname(__file__)
                assert __name__ == "1.model"
                return [pb_utils.InferenceResponse([])]
        """
    host = opened(make_host, source, {"sibling.py": "WORD = 'hi'"})
    response = host.execute([request()])[0]
    assert response is not None and not response.has_error()


def test_a_model_file_may_have_another_name(make_host: HostFactory) -> None:
    host = make_host("class TritonPythonModel: pass", filename="classifier.py")
    host.load()
    host.initialize({})


def test_a_missing_file_is_an_error(make_host: HostFactory) -> None:
    assert failed_load(make_host, None).text == "Python model file not found in 'm/1/model.py'"


def test_a_syntax_error_has_no_frames(make_host: HostFactory) -> None:
    error = failed_load(make_host, "!\n")
    assert error.text == "SyntaxError: invalid syntax (model.py, line 1)"
    assert "Traceback" in error.traceback


def test_a_file_without_the_class_is_an_error(make_host: HostFactory) -> None:
    assert failed_load(make_host, "x = 1").text == (
        "AttributeError: module '1.model' has no attribute 'TritonPythonModel'"
    )


def test_an_import_error_names_the_line_of_the_import(make_host: HostFactory) -> None:
    error = failed_load(make_host, "\nimport no_such_package_anywhere\n")
    assert error.text == (
        "ModuleNotFoundError: No module named 'no_such_package_anywhere'\n\n"
        "At:\n  m/1/model.py(2): <module>\n"
    )


def test_a_failed_import_names_its_files_innermost_first(make_host: HostFactory) -> None:
    error = failed_load(make_host, "import sibling", {"sibling.py": "\n\nraise OSError('broken')"})
    assert error.text == (
        "OSError: broken\n\nAt:\n  m/1/sibling.py(3): <module>\n  m/1/model.py(1): <module>\n"
    )


def test_messages_do_not_tell_clients_where_the_server_keeps_things(make_host: HostFactory) -> None:
    error = failed_load(make_host, "from sibling import nothing", {"sibling.py": ""})
    assert error.text.startswith("ImportError: cannot import name 'nothing' from 'sibling' (m/1/sibling.py)")
    other = failure_of(opened_elsewhere(error))
    assert other.text.startswith("ImportError: cannot import name 'nothing' from 'json' (json/__init__.py)")


def opened_elsewhere(error: HostError) -> Callable[[], Any]:
    """A load of a second model beside the first one, which fails in an import of the standard library."""
    from pathlib import Path

    match = re.search(r'File "(.*)/1/model\.py"', error.traceback)
    assert match is not None
    second = Path(match.group(1)).parent / "second"
    (second / "2").mkdir(parents=True)
    (second / "2" / "model.py").write_text("from json import nothing")
    return ModelHost(str(second), "2", "model.py", "second").load


def test_frames_in_libraries_are_shown_from_their_import_directory(make_host: HostFactory) -> None:
    host = opened(make_host, executing("import json; json.loads('{')"))
    lines = failure_of(lambda: host.execute([request()])).text.splitlines()
    assert re.fullmatch(r"  json/decoder\.py\(\d+\): raw_decode", lines[3])
    assert lines[-1] == "  m/1/model.py(4): execute"


def test_load_survives_an_exit_of_the_module(make_host: HostFactory) -> None:
    assert failed_load(make_host, "import sys; sys.exit(3)").text == (
        "SystemExit: 3\n\nAt:\n  m/1/model.py(1): <module>\n"
    )


INITIALIZE_FAILS = """\
class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("init bad")
"""


def test_initialize_that_raises_is_told_with_its_place(make_host: HostFactory) -> None:
    host = make_host(INITIALIZE_FAILS)
    host.load()
    error = failure_of(lambda: host.initialize({}))
    assert error.text == "ValueError: init bad\n\nAt:\n  m/1/model.py(3): initialize\n"
    assert error.traceback.startswith("Traceback (most recent call last):")
    assert "/repo/m/1/model.py" in error.traceback


@pytest.mark.parametrize(
    ("statement", "head"),
    [
        ("raise ValueError('exec bad')", "ValueError: exec bad"),
        ("raise pb_utils.TritonModelException('told')", "TritonModelException: told"),
        ("import sys; sys.exit(1)", "SystemExit: 1"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: <EMPTY MESSAGE>"),
        ("raise GeneratorExit('x')", "GeneratorExit: x"),
    ],
)
def test_execute_that_raises_fails_the_batch_with_tritons_text(
    make_host: HostFactory, statement: str, head: str
) -> None:
    host = opened(make_host, executing(statement))
    for _ in range(2):  # the host lives on
        error = failure_of(lambda: host.execute([request(), request()]))
        assert error.text == f"{head}\n\nAt:\n  m/1/model.py(4): execute\n"


def test_frames_of_helpers_come_before_execute(make_host: HostFactory) -> None:
    host = opened(make_host, executing("return helper()", "def helper():\n    raise KeyError('k')\n"))
    error = failure_of(lambda: host.execute([request()]))
    assert error.text == "KeyError: 'k'\n\nAt:\n  m/1/model.py(6): helper\n  m/1/model.py(4): execute\n"


def test_an_error_that_cannot_say_itself_is_still_told(make_host: HostFactory) -> None:
    helper = "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError\n"
    host = opened(make_host, executing("raise Odd()", helper))
    error = failure_of(lambda: host.execute([request()]))
    assert error.text == "Odd: <message unavailable>\n\nAt:\n  m/1/model.py(4): execute\n"


def test_a_request_that_goes_back_to_its_scheduler_has_no_response(make_host: HostFactory) -> None:
    host = opened(
        make_host,
        executing("requests[0].set_release_flags(2); return [pb_utils.InferenceResponse([])]"),
    )
    assert "in the execute function return list for reschduled request, found type '<class" in (
        failure_of(lambda: host.execute([request()])).text
    )


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (
            "[]",
            (
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                "InferenceRequest(s) size is:1, and InferenceResponse(s) size is:0\n"
            ),
        ),
        (
            "[pb_utils.InferenceResponse([])] * 2",
            (
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                "InferenceRequest(s) size is:1, and InferenceResponse(s) size is:2\n"
            ),
        ),
        (
            "[1]",
            (
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                "'<class 'int'>'."
            ),
        ),
        ("()", "Expected a list in the execute return, found type '<class 'tuple'>'."),
    ],
)
def test_what_execute_must_not_return(make_host: HostFactory, returned: str, text: str) -> None:
    host = opened(make_host, executing(f"return {returned}"))
    error = failure_of(lambda: host.execute([request()]))
    assert (error.text, error.traceback) == (text, "")


@pytest.mark.parametrize("returned", ["None", "[pb_utils.InferenceResponse([]), None]"])
def test_none_is_an_error_of_its_request_alone(make_host: HostFactory, returned: str) -> None:
    host = opened(make_host, executing(f"return {returned}"))
    responses = host.execute([request(), request()])
    assert [response is not None and response.has_error() for response in responses] == [
        returned == "None",
        True,
    ]
    assert responses[1] is not None
    error = responses[1].error()
    assert error is not None
    assert error.message().startswith(
        "Model 'm' returned no response for this request: execute returned None. Return one "
    )


def test_a_model_that_empties_the_list_of_requests_still_owes_their_responses(make_host: HostFactory) -> None:
    host = opened(make_host, executing("requests.clear(); return []"))
    requests = [request()]
    assert "InferenceRequest(s) size is:1" in failure_of(lambda: host.execute(requests)).text
    assert len(requests) == 1


def test_a_model_without_execute_loads_and_fails_at_inference(make_host: HostFactory) -> None:
    host = opened(make_host, "class TritonPythonModel: pass")
    assert failure_of(lambda: host.execute([request()])).text == (
        "Python model m/1/model.py does not implement `execute` method."
    )


def test_execute_may_be_a_coroutine_with_one_loop_for_the_models_life(make_host: HostFactory) -> None:
    source = """
        import asyncio
        import triton_python_backend_utils as pb_utils
        class TritonPythonModel:
            loops = []
            async def execute(self, requests):
                self.loops.append(asyncio.get_running_loop())
                await asyncio.gather(*[asyncio.sleep(0) for _ in requests])
                assert self.loops[0] is self.loops[-1]
                return [pb_utils.InferenceResponse([]) for _ in requests]
        """
    host = opened(make_host, source)
    assert [len(host.execute([request()] * rows)) for rows in (1, 3)] == [1, 3]
    assert host.finalize() is None


CONFIG = {"name": "m", "max_batch_size": 0, "input": [], "output": []}


def autocompleting(body: str) -> str:
    return f"""\
class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        {body}
"""


def test_a_model_completes_its_configuration(make_host: HostFactory) -> None:
    output = {"name": "OUT", "data_type": "TYPE_FP32", "dims": [4]}
    host = make_host(
        autocompleting(f"config.add_output({output}); config.set_max_batch_size(8); return config")
    )
    host.load()
    given = dict(CONFIG)
    assert host.autocomplete(given) == {**CONFIG, "max_batch_size": 8, "output": [output]}
    assert given == CONFIG


def test_a_model_without_the_function_leaves_the_configuration_alone(make_host: HostFactory) -> None:
    host = make_host("class TritonPythonModel: pass")
    host.load()
    assert host.autocomplete(CONFIG) == CONFIG


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return 3", "auto_complete_config function in model 'm' must return a valid pb.ModelConfig object."),
        ("pass", "auto_complete_config function in model 'm' must return a valid pb.ModelConfig object."),
        (
            "raise ValueError('auto bad')",
            "ValueError: auto bad\n\nAt:\n  m/1/model.py(4): auto_complete_config\n",
        ),
    ],
)
def test_a_completion_that_fails_has_tritons_text(make_host: HostFactory, body: str, text: str) -> None:
    host = make_host(autocompleting(body))
    host.load()
    assert failure_of(lambda: host.autocomplete(CONFIG)).text == text


def test_a_conflict_in_a_completion_tells_the_conflict_and_the_models_line(make_host: HostFactory) -> None:
    host = make_host(autocompleting("config.add_input({'name': 'IN', 'dims': [1]})"))
    host.load()
    lines = failure_of(lambda: host.autocomplete(CONFIG)).text.splitlines()
    assert lines[0] == (
        "ValueError: input 'IN' in auto-complete-config function for model 'm' is missing 'data_type' "
        "property."
    )
    assert lines[-1] == "  m/1/model.py(4): auto_complete_config"
    assert not any(line.startswith("  /") for line in lines)


def test_a_completion_that_json_cannot_say_is_an_error(make_host: HostFactory) -> None:
    host = make_host(autocompleting("config.as_dict()['x'] = {1, 2}; return config"))
    host.load()
    assert failure_of(lambda: host.autocomplete(CONFIG)).text.startswith(
        "TypeError: Object of type set is not JSON serializable"
    )


def test_finalize_is_called_once(make_host: HostFactory, capsys: pytest.CaptureFixture[str]) -> None:
    host = opened(make_host, "class TritonPythonModel:\n    def finalize(self):\n        print('bye')\n")
    assert host.finalize() is None
    assert host.finalize() is None
    assert capsys.readouterr().out == "bye\n"


@pytest.mark.parametrize("statement", ["raise ValueError('late')", "import sys; sys.exit('late')"])
def test_finalize_never_raises(make_host: HostFactory, statement: str) -> None:
    host = opened(make_host, f"class TritonPythonModel:\n    def finalize(self):\n        {statement}\n")
    text = host.finalize()
    assert text is not None
    assert text.startswith("Traceback")
    assert "late" in text


def test_finalize_before_initialize_does_nothing(make_host: HostFactory) -> None:
    assert make_host("class TritonPythonModel: pass").finalize() is None


def test_a_models_directories_do_not_hide_the_workers_own_modules(make_host: HostFactory) -> None:
    host = opened(make_host, "import json\n" + IDENTITY, {"json.py": "raise RuntimeError('hidden')"})
    assert len(host.execute([request()])) == 1
    assert sys.path.index(str(host._model_dir)) > 0


def initialized(make_host: HostFactory, is_ready: str) -> ModelHost:
    host = opened(make_host, f"class TritonPythonModel:\n    {is_ready}\n")
    host.initialize({})
    return host


@pytest.mark.parametrize(("value", "ready"), [("True", True), ("0", False), ("None", False)])
def test_a_model_may_say_whether_it_is_ready(make_host: HostFactory, value: str, ready: bool) -> None:
    host = initialized(make_host, f"def is_ready(self): return {value}")
    assert host.has_is_ready
    assert host.is_ready() is ready


@pytest.mark.parametrize(
    ("is_ready", "text"),
    [
        ("def is_ready(self): raise ValueError('the database is away')", "ValueError: the database is away"),
        ("async def is_ready(self): return True", "must return a bool and not be a coroutine"),
    ],
)
def test_an_is_ready_that_fails_is_told(make_host: HostFactory, is_ready: str, text: str) -> None:
    assert text in failure_of(initialized(make_host, is_ready).is_ready).text


def test_a_model_without_is_ready_is_not_asked(make_host: HostFactory) -> None:
    assert not initialized(make_host, "pass").has_is_ready


def test_a_file_that_models_share_is_imported_by_its_own_name_with_its_directory(
    tmp_path: Path, make_host: HostFactory
) -> None:
    make_host(None)
    backend = tmp_path / "backends" / "mine"
    backend.mkdir(parents=True)
    (backend / "companion.py").write_text("WORD = 'found'\n")
    (backend / "model.py").write_text(
        "from companion import WORD\n"
        "import triton_python_backend_utils as pb_utils\n"
        "class TritonPythonModel:\n"
        "    def initialize(self, args):\n"
        "        raise ValueError(f'{__name__} {WORD} {pb_utils.get_model_dir()[-4:]} {__file__}')\n"
    )
    host = ModelHost(str(tmp_path / "repo" / "m"), "1", str(backend / "model.py"), "m")
    host.load()
    error = failure_of(lambda: host.initialize({}))
    assert error.text == (
        "ValueError: model found /m/1 mine/model.py\n\nAt:\n  mine/model.py(5): initialize\n"
    )
    assert str(tmp_path / "repo" / "m" / "1") not in sys.path
