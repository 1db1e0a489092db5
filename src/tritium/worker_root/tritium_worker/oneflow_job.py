"""A saved graph as OneFlow's own description of it, a ``Job``, and how it is changed to serve.

The job is a protobuf message of OneFlow's; nothing here imports OneFlow. A graph is saved at one batch size.
``set_rows`` writes another into it: shapes that were traced with the saved one are changed wherever they
depend on an input. That is right for most graphs and cannot be proven here, so whoever runs the result
compares it with the saved graph first.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Set, Tuple

# OneFlow's numbers of data types: numpy's names, which are OneFlow's too.
DTYPES = {
    2: "float32", 3: "float64", 4: "int8", 5: "int32", 6: "int64", 7: "uint8", 9: "float16", 12: "bool",
}  # fmt: skip


def operations(job: Any, kind: str) -> List[Any]:
    """The operations of one kind (``input_conf``), in the job's order."""
    return [op for op in job.net.op if op.WhichOneof("op_type") == kind]


def named(job: Any, kind: str, names: Sequence[str]) -> List[Any]:
    """The operations of one kind that are called ``names``, in that order.

    Raises:
        ValueError: the job has others.
    """
    found = {op.name: op for op in operations(job, kind)}
    if set(found) != set(names):
        raise ValueError(
            "OneFlow reads %s as %s, but the file says %s" % (kind, sorted(found), sorted(names))
        )
    return [found[name] for name in names]


def blob_type(blob: Any) -> Tuple[Tuple[int, ...], str]:
    """Shape and dtype of an input, an output or a variable."""
    return tuple(blob.shape.dim), DTYPES[blob.data_type]


def move_to_cpu(job: Any) -> None:
    """Place everything on the CPU: a graph that was saved on a GPU ends the process otherwise."""
    for op in job.net.op:
        op.device_tag = "cpu"
    for group in (*job.placement.placement_group, *job.placement.blob_placement_group):
        group.parallel_conf.device_tag = "cpu"


def activation_bytes(job: Any, itemsizes: Dict[int, int]) -> int:
    """What the tensors of a compiled job take, parameters apart: OneFlow keeps each in memory of its own."""
    variables = {op.name for op in operations(job, "variable_conf")}
    total = 0
    for name, blob in job.helper.lbn2logical_blob_desc.items():
        if name.partition("/")[0] in variables:
            continue
        size = itemsizes.get(blob.data_type, 4)
        for extent in blob.shape.dim:
            size *= extent
        total += size
    return total


def set_rows(job: Any, saved: int, rows: int) -> None:
    """Change a job that was saved for ``saved`` rows to ``rows``.

    A job holds its variables first, then what computes, in the order in which it can run, then inputs and
    outputs.
    """
    tainted: Set[str] = set()  # values that depend on an input
    renamed: Dict[str, str] = {}
    for op in operations(job, "input_conf"):
        op.input_conf.blob_conf.shape.dim[0] = rows
        tainted.add("%s/%s" % (op.name, op.input_conf.out))
    for op in operations(job, "user_conf"):
        _change(op, saved, rows, tainted, renamed)
    for op in operations(job, "output_conf"):
        source = getattr(op.output_conf, "in")
        setattr(op.output_conf, "in", renamed.get(source, source))
        op.output_conf.blob_conf.shape.dim[0] = rows


def _change(op: Any, saved: int, rows: int, tainted: Set[str], renamed: Dict[str, str]) -> None:
    conf = op.user_conf
    flags: List[bool] = []
    for key in conf.input:
        values = conf.input[key].s
        for index, value in enumerate(values):
            values[index] = renamed.get(value, value)
            flags.append(values[index] in tainted)
    if not any(flags):
        return
    if conf.op_type_name == "add_n" and len(flags) == 2 and not all(flags):
        _broadcast(op, renamed)
    elif conf.op_type_name == "slice":  # x[:, a:b] has the number of rows as the end of its first axis
        start, stop = conf.attr["start"].at_list_int64.val, conf.attr["stop"].at_list_int64.val
        if stop and start[0] == 0 and stop[0] == saved:
            stop[0] = rows
    elif conf.op_type_name == "reshape":
        shape = conf.attr["shape"].at_shape.dim
        if shape and shape[0] % saved == 0:
            shape[0] = shape[0] // saved * rows
    for key in conf.output:
        tainted.update(conf.output[key].s)


def _broadcast(op: Any, renamed: Dict[str, str]) -> None:
    """A sum of equal shapes, of which one was a parameter with one row: let the parameter be repeated."""
    conf = op.user_conf
    x, y = [value for key in conf.input for value in conf.input[key].s]
    old = conf.output["out"].s[0]
    new = op.name + "/z_0"
    for field in ("input", "output", "attr", "input_order", "output_order"):
        conf.ClearField(field)
    conf.op_type_name = "broadcast_add"
    conf.input["x"].s.append(x)
    conf.input["y"].s.append(y)
    conf.output["z"].s.append(new)
    conf.input_order.extend(["x", "y"])
    conf.output_order.append("z")
    renamed[old] = new
