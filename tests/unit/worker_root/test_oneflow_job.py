"""Tests for ``tritium_worker.oneflow_job``, on objects that look like OneFlow's messages."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from tritium_worker.oneflow_job import activation_bytes, blob_type, move_to_cpu, named, set_rows

KINDS = {"input": "input_conf", "output": "output_conf", "variable": "variable_conf"}


class Operation(SimpleNamespace):
    """One operation of a job."""

    def WhichOneof(self, _: str) -> str:  # noqa: N802 - as protobuf has it
        return str(self.kind)


class UserConf(SimpleNamespace):
    """What computes: inputs, outputs and attributes by name."""

    def ClearField(self, name: str) -> None:  # noqa: N802 - as protobuf has it
        setattr(self, name, [] if name.endswith("order") else defaultdict(strings))


def strings() -> Any:
    return SimpleNamespace(s=[])


def blob(*shape: int, data_type: int = 2) -> Any:
    return SimpleNamespace(shape=SimpleNamespace(dim=list(shape)), data_type=data_type)


def end(kind: str, name: str, *shape: int, source: str = "") -> Operation:
    conf = SimpleNamespace(out="out", blob_conf=blob(*shape), **{"in": source})
    return Operation(kind=KINDS[kind], name=name, device_tag="cuda", **{KINDS[kind]: conf})


def user(kind: str, name: str, inputs: dict[str, list[str]], **attributes: list[int]) -> Operation:
    lists = {
        key: SimpleNamespace(at_list_int64=SimpleNamespace(val=value)) for key, value in attributes.items()
    }
    if "shape" in attributes:
        lists["shape"] = SimpleNamespace(at_shape=SimpleNamespace(dim=attributes["shape"]))
    conf = UserConf(
        op_type_name=kind,
        input=defaultdict(strings, {key: SimpleNamespace(s=list(value)) for key, value in inputs.items()}),
        output=defaultdict(strings, {"out": SimpleNamespace(s=[name + "/out_0"])}),
        attr=lists,
        input_order=list(inputs),
        output_order=["out"],
    )
    return Operation(kind="user_conf", name=name, device_tag="cuda", user_conf=conf)


def job(*ops: Operation) -> Any:
    return SimpleNamespace(net=SimpleNamespace(op=list(ops)))


def changed(*ops: Operation, saved: int = 1, rows: int = 4) -> None:
    """A job with one input "x" of [saved, 6] around ``ops``, changed; inputs come last, as in OneFlow's."""
    set_rows(job(*ops, end("input", "x", saved, 6)), saved, rows)


@pytest.mark.parametrize(
    ("saved", "rows", "shape", "expected"),
    [(1, 4, [1, 2, 3], [4, 2, 3]), (1, 4, [2, 3], [8, 3]), (2, 8, [4, 3], [16, 3]), (2, 8, [3, 4], [3, 4])],
)
def test_a_reshape_keeps_its_rows_outermost(
    saved: int, rows: int, shape: list[int], expected: list[int]
) -> None:
    reshape = user("reshape", "r", {"in": ["x/out"]}, shape=shape)
    changed(reshape, saved=saved, rows=rows)
    assert reshape.user_conf.attr["shape"].at_shape.dim == expected


def test_what_does_not_depend_on_an_input_stays() -> None:
    reshape = user("reshape", "r", {"in": ["weight/out"]}, shape=[1, 6])
    changed(reshape)
    assert reshape.user_conf.attr["shape"].at_shape.dim == [1, 6]


@pytest.mark.parametrize(
    ("start", "stop", "expected"), [([0, 1], [1, 3], [4, 3]), ([0, 1], [2, 3], [2, 3]), ([1], [1], [1])]
)
def test_a_slice_of_all_rows_stays_one(start: list[int], stop: list[int], expected: list[int]) -> None:
    part = user("slice", "s", {"x": ["x/out"]}, start=start, stop=stop)
    changed(part)
    assert part.user_conf.attr["stop"].at_list_int64.val == expected


def test_dependence_passes_through_operations() -> None:
    relu = user("relu", "a", {"x": ["x/out"]})
    reshape = user("reshape", "b", {"in": ["a/out_0"]}, shape=[1, 6])
    changed(relu, reshape)
    assert reshape.user_conf.attr["shape"].at_shape.dim == [4, 6]


def test_a_sum_with_a_parameter_of_one_row_broadcasts_it() -> None:
    total = user("add_n", "sum", {"in": ["x/out", "weight/out"]})
    relu = user("relu", "after", {"x": ["sum/out_0"]})
    result = end("output", "y", 1, 6, source="sum/out_0")
    changed(total, relu, result)
    conf = total.user_conf
    assert conf.op_type_name == "broadcast_add"
    assert (conf.input["x"].s, conf.input["y"].s, conf.output["z"].s) == (
        ["x/out"], ["weight/out"], ["sum/z_0"]
    )  # fmt: skip
    assert relu.user_conf.input["x"].s == ["sum/z_0"]
    assert getattr(result.output_conf, "in") == "sum/z_0"
    assert result.output_conf.blob_conf.shape.dim == [4, 6]


def test_a_sum_of_two_values_with_rows_stays() -> None:
    total = user("add_n", "sum", {"in": ["x/out", "x/out"]})
    changed(total)
    assert total.user_conf.op_type_name == "add_n"


def test_everything_is_moved_to_the_cpu() -> None:
    graph = job(user("relu", "a", {"x": []}))
    groups: list[Any] = [SimpleNamespace(parallel_conf=SimpleNamespace(device_tag="cuda")) for _ in range(2)]
    graph.placement = SimpleNamespace(placement_group=groups[:1], blob_placement_group=groups[1:])
    move_to_cpu(graph)
    assert graph.net.op[0].device_tag == "cpu"
    assert [group.parallel_conf.device_tag for group in groups] == ["cpu", "cpu"]


def test_operations_are_found_by_name_and_others_are_an_error() -> None:
    graph = job(end("input", "b", 1), end("input", "a", 1), end("output", "c", 1))
    assert [op.name for op in named(graph, "input_conf", ["a", "b"])] == ["a", "b"]
    with pytest.raises(ValueError, match=r"\['a', 'b'\], but the file says \['a'\]"):
        named(graph, "input_conf", ["a"])


def test_tensors_are_counted_and_parameters_are_not() -> None:
    graph = job(end("variable", "weight", 100))
    blobs: dict[str, tuple[Any, ...]] = {
        "weight/out": blob(100),
        "a/out_0": blob(2, 3),
        "b/y": blob(5, data_type=6),
    }
    graph.helper = SimpleNamespace(lbn2logical_blob_desc=blobs)
    assert activation_bytes(graph, {2: 4, 6: 8}) == 6 * 4 + 5 * 8
    assert blob_type(blob(1, 2, data_type=12)) == ((1, 2), "bool")
