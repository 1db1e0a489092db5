from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import request, tensor
from tritium.caching.key import KeyMaker, ensemble_fingerprint, fingerprint_of
from tritium.core.request import SEQUENCE_START, InferenceRequest
from tritium.core.tensor import DataType, Tensor

KEYS = KeyMaker(b"model", frozenset(("A", "B")))


def raw(name: str, data: bytes, shape: tuple[int, ...], datatype: DataType = DataType.UINT8) -> Tensor:
    return Tensor(name, datatype, shape, data)


def asked(*inputs: Tensor, outputs: tuple[str, ...] = (), **parameters: object) -> InferenceRequest:
    return request(*inputs, requested_outputs=outputs, parameters=parameters)


def test_the_same_question_has_the_same_key_whoever_asks_and_however_it_came() -> None:
    first = asked(tensor([1.0], "X"), tensor([2.0], "Y"))
    second = asked(tensor([2.0], "Y"), tensor([1.0], "X"), outputs=("B", "A"))
    second.id, second.priority, second.timeout_us = "other", 3, 5
    assert KEYS.key(first) == KEYS.key(second)


@pytest.mark.parametrize(
    "other",
    [
        asked(raw("X", b"1235", (4,))),
        asked(raw("X", b"1234", (2, 2))),
        asked(raw("X", b"1234", (4,), DataType.INT8)),
        asked(raw("Y", b"1234", (4,))),
        asked(raw("X", b"12", (2,)), raw("Y", b"34", (2,))),
        asked(raw("X", b"1234", (4,)), outputs=("A",)),
        asked(raw("X", b"1234", (4,)), limit=1),
        asked(raw("X", b"1234", (4,)), raw("Y", b"", (0,))),
    ],
)
def test_a_question_that_may_have_another_answer_has_another_key(other: InferenceRequest) -> None:
    assert KEYS.key(asked(raw("X", b"1234", (4,)))) != KEYS.key(other)


def test_sequences_are_told_apart_for_models_see_them() -> None:
    requests = [asked(raw("X", b"1234", (4,))) for _ in range(4)]
    requests[1].correlation_id, requests[2].correlation_id, requests[3].flags = 1, "1", SEQUENCE_START
    for each in requests:
        each.form = "form"
    assert len({KEYS.key(each) for each in requests}) == 4


def test_parameters_of_different_types_are_different() -> None:
    keys = {KEYS.key(asked(raw("X", b"", (0,)), p=value)) for value in (1, True, "1", 1.5)}
    assert len(keys) == 4


def test_two_models_share_no_key() -> None:
    question = asked(raw("X", b"1234", (4,)))
    assert KEYS.key(question) != KeyMaker(b"another", frozenset(("A", "B"))).key(question)


_INPUTS = st.lists(
    st.tuples(st.sampled_from("ABC"), st.binary(max_size=3)), max_size=3, unique_by=lambda p: p[0]
)


@given(_INPUTS, _INPUTS)
def test_keys_are_the_same_only_for_the_same_inputs(
    one: list[tuple[str, bytes]], two: list[tuple[str, bytes]]
) -> None:
    def key(pairs: list[tuple[str, bytes]]) -> bytes:
        made = asked()
        made.inputs = [raw(name, data, (len(data),)) for name, data in pairs]
        return KEYS.key(made)

    assert (key(one) == key(two)) == (sorted(one) == sorted(two))


_QUESTION = st.tuples(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.binary(min_size=2, max_size=2)),
        max_size=3,
        unique_by=lambda p: p[0],
    ),
    st.sampled_from([(), ("A",), ("B", "A")]),
    st.dictionaries(st.sampled_from("pq"), st.one_of(st.integers(0, 1), st.booleans()), max_size=1),
)


@given(st.lists(_QUESTION, max_size=6))
def test_keys_of_known_forms_are_those_of_requests_without_form(
    questions: list[tuple[list[tuple[str, bytes]], tuple[str, ...], dict[str, int]]],
) -> None:
    keys, forms = KeyMaker(b"model", frozenset(("A", "B"))), dict[object, object]()
    for pairs, outputs, parameters in questions * 2:
        inputs = [raw(name, data, (2,)) for name, data in pairs]
        plain = asked(outputs=outputs, **parameters)
        plain.inputs = inputs
        known = replace(plain, form=forms.setdefault((outputs, *(name for name, _ in pairs)), object()))
        expected = KEYS.key(plain)
        assert keys.key(known) == expected
        again = keys.key_again(known.form, [t.buffer for t in inputs])
        if not parameters:
            assert again == expected
        assert again is None or again == KEYS.key(replace(plain, parameters={}))


def test_many_forms_do_not_pile_up_and_stay_right() -> None:
    keys = KeyMaker(b"model", frozenset(("A", "B")))
    question = asked(raw("X", b"1234", (4,)))
    for _ in range(1000):
        assert keys.key(replace(question, form=object())) == KEYS.key(question)


def test_a_form_that_was_not_seen_has_no_key() -> None:
    assert KEYS.key_again(object(), []) is None


def model(root: Path) -> Path:
    (root / "1" / "__pycache__").mkdir(parents=True)
    (root / "2").mkdir()
    (root / "1" / "model.py").write_text("pass")
    (root / "2" / "model.py").write_text("pass")
    (root / "labels.txt").write_text("cat")
    return root


def shared(root: Path, document: dict[str, int] | None = None, version: int = 1) -> bytes:
    return fingerprint_of(document or {"a": 1, "b": 2}, root, version, shared=True)


def test_a_fingerprint_is_of_the_content_alone(tmp_path: Path) -> None:
    one, two = model(tmp_path / "one"), model(tmp_path / "two")
    (two / "1" / "__pycache__" / "x.pyc").write_text("compiled")
    (two / "2" / "model.py").write_text("another version")
    assert shared(one) == shared(two, {"b": 2, "a": 1})


def test_a_fingerprint_changes_with_the_model(tmp_path: Path) -> None:
    root = model(tmp_path)
    seen = {shared(root), shared(root, {"a": 2}), shared(root, version=2)}
    (root / "1" / "model.py").write_text("pass ")
    seen.add(shared(root))
    (root / "labels.txt").rename(root / "names.txt")
    seen.add(shared(root))
    assert len(seen) == 5


def test_an_ensemble_is_another_when_one_of_its_models_is() -> None:
    made = [
        ensemble_fingerprint({"a": 1}, 1, [b"m", b"n"]),
        ensemble_fingerprint({"a": 1}, 1, [b"mn", b""]),
        ensemble_fingerprint({"a": 2}, 1, [b"m", b"n"]),
        ensemble_fingerprint({"a": 1}, 2, [b"m", b"n"]),
    ]
    assert len({*made}) == 4
    assert ensemble_fingerprint({"a": 1}, 1, [b"m", b"n"]) == made[0]


def test_without_other_servers_each_load_is_a_model_of_its_own(tmp_path: Path) -> None:
    first, second = (fingerprint_of({}, tmp_path, 1, shared=False) for _ in range(2))
    assert first != second


def test_large_inputs_are_not_copied_into_the_key() -> None:
    assert len(KEYS.key(asked(tensor(np.zeros(1 << 16, np.float32))))) == 32
