"""Files that are damaged anywhere: an error of ours or a graph that translates, soon, and nothing else."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from tritium.errors import TritiumError
from tritium.oneflow.batch import find_batch
from tritium.oneflow.mlir import parse
from tritium.oneflow.reader import read_graph
from tritium.oneflow.translate import translate

SAVED = Path(__file__).parents[2] / "oneflow" / "saved"
GRAPHS = ("attention", "classifier", "many_tensors", "types", "batch_mixing")
LIMIT_S = 30.0  # for one file of some 20 KB, on a loaded machine
WORDS = (
    "{", "}", "[", "]", "<", ">", '"', ":", "->", "%0", "%0#1", "-1", "999999999999", "tensor<0x3xf32>",
    "true",
    "0x7F",
)  # fmt: skip


def damaged(content: bytes, chance: random.Random) -> bytes:
    """``content`` after one or a few accidents."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 3, 8))):
        place = chance.randrange(len(data) + 1)
        span = chance.choice((1, 1, 2, 10, 200, 2000))
        kind = chance.randrange(7)
        if kind == 0:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[place : place + span]
        elif kind == 2:
            data[place:place] = data[place : place + span]
        elif kind == 3:
            data[place : place + span] = chance.choice(WORDS).encode()
        elif kind == 4:
            del data[place:]
        elif kind == 5:
            other = chance.randrange(len(data) + 1)
            data[place : place + span] = data[other : other + span]
        else:
            digits = [i for i in range(place, min(len(data), place + 400)) if 48 <= data[i] <= 57]
            for index in digits[:1]:
                data[index] = 48 + chance.randrange(10)
    return bytes(data)


def survive(directory: Path, count: int, seed: int) -> None:
    pytest.importorskip("onnx")
    chance = random.Random(seed)
    models = [directory / name / "model" for name in GRAPHS]
    for name, model in zip(GRAPHS, models, strict=True):
        shutil.copytree(SAVED / name / "model", model)
    texts = {model: (model / "model.mlir").read_bytes() for model in models}
    accepted = 0
    for _ in range(count):
        model = chance.choice(models)
        (model / "model.mlir").write_bytes(damaged(texts[model], chance))
        parameters = [path for path in model.glob("*/out") if path.stat().st_size]
        victim = chance.choice(parameters) if parameters and chance.random() < 0.2 else None
        whole = victim.read_bytes() if victim is not None else b""
        if victim is not None:
            victim.write_bytes(damaged(whole, chance))
        started = time.monotonic()
        try:
            graph = read_graph(model)
            find_batch(graph)
            translate(graph).model.SerializeToString()
            accepted += 1
        except TritiumError as error:
            assert str(directory) not in str(error)
            assert len(str(error)) < 5000
        assert time.monotonic() - started < LIMIT_S
        if victim is not None:
            victim.write_bytes(whole)
    assert 0 < accepted < count


def test_a_thousand_damaged_files_end_in_errors(tmp_path: Path) -> None:
    survive(tmp_path, 1000, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_five_thousand_more_damaged_files_end_in_errors(seed: int, tmp_path: Path) -> None:
    survive(tmp_path, 1000, seed)


STARTS = ("", "module {\n  oneflow.job @G(", 'module {\noneflow.job @G() {\n%0 = "oneflow.x"() {a = ')


@pytest.mark.parametrize("word", ["[", '"', "%a", "<", "\n", "9", "1,", "a "])
def test_long_nonsense_is_refused_quickly(word: str) -> None:
    started = time.monotonic()
    for before in STARTS:
        with pytest.raises(TritiumError):
            parse(before + word * 1_000_000, "f")
    assert time.monotonic() - started < LIMIT_S


def test_time_grows_with_the_text_and_no_faster() -> None:
    def seconds(count: int) -> float:
        one = '%{} = "oneflow.relu"(%{}) {{op_name = "r"}} : (tensor<1xf32>) -> tensor<1xf32>\n'
        body = "".join(one.format(i + 1, i) for i in range(count))
        start = "module { oneflow.job @G(%0: tensor<1xf32>) -> tensor<1xf32> {\n"
        text = f"{start}{body}oneflow.return %1 : tensor<1xf32> }} }}"
        started = time.process_time()
        assert len(parse(text, "f").operations) == count
        return time.process_time() - started

    seconds(100)
    assert seconds(20_000) < 40 * max(seconds(2_000), 0.01)
