from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from tritium.config.messages import (
    CLASSES,
    config_from_message,
    descriptor_of,
    message_from_document,
    new_message,
)
from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.errors import ConfigError


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_the_fields_of_its_message_in_their_order(name: str) -> None:
    descriptor = descriptor_of(f"inference.{name}")
    assert descriptor is not None
    assert [f.name.rstrip("_") for f in fields(CLASSES[name])] == [f.name for f in descriptor.fields]


def test_every_message_of_the_proto_has_a_class() -> None:
    def names(descriptor: Any) -> set[str]:
        own = {descriptor.full_name.removeprefix("inference.")}
        nested = [n for n in descriptor.nested_types if not n.GetOptions().map_entry]
        return own.union(*(names(n) for n in nested))

    messages = new_message().DESCRIPTOR.file.message_types_by_name.values()
    assert set().union(*(names(message) for message in messages)) == set(CLASSES)


def test_an_empty_message_gives_the_defaults_of_the_classes() -> None:
    assert config_from_message(new_message()) == ModelConfig()


@pytest.mark.parametrize("name", CLASSES)
def test_the_defaults_of_each_class_are_those_of_its_message(name: str) -> None:
    descriptor: Any = descriptor_of(f"inference.{name}")
    instance = CLASSES[name]()
    for field in descriptor.fields:
        value = getattr(instance, "global_" if field.name == "global" else field.name)
        if field.has_presence:
            assert value is None
        elif field.enum_type is not None and not isinstance(value, tuple):
            assert value == field.enum_type.values_by_number[0].name
        elif isinstance(value, (tuple, dict)):
            assert len(value) == 0
        else:
            assert value == field.default_value


def test_maps_are_sorted_and_floats_are_short() -> None:
    document = {
        "parameters": {"b": {"string_value": "2"}, "a": {"string_value": "1"}},
        "sequence_batching": {"direct": {"minimum_slot_utilization": 0.1}},
    }
    config = config_from_message(message_from_document(document, "test"))
    assert list(config.parameters.items()) == [("a", ModelParameter("1")), ("b", ModelParameter("2"))]
    assert config.sequence_batching is not None and config.sequence_batching.direct is not None
    assert config.sequence_batching.direct.minimum_slot_utilization == 0.1


@pytest.mark.parametrize("value", [0.0, 3.4028234663852886e38, 1e-45, 16777217.0, float("inf")])
def test_every_32_bit_float_keeps_its_value(value: float) -> None:
    message = new_message()
    message.sequence_batching.direct.minimum_slot_utilization = value
    config = config_from_message(message)
    assert config.sequence_batching is not None and config.sequence_batching.direct is not None
    again = new_message()
    again.sequence_batching.direct.minimum_slot_utilization = (
        config.sequence_batching.direct.minimum_slot_utilization
    )
    assert again == message


def test_an_enum_number_without_a_name_is_refused_with_its_place() -> None:
    message = new_message()
    message.input.add(name="x", data_type=99)
    with pytest.raises(ConfigError, match=r"ModelConfig\.input\[0\]\.data_type: 99 .* TYPE_FP32"):
        config_from_message(message)


def test_a_name_that_is_no_message_has_no_descriptor() -> None:
    assert descriptor_of("inference.Nothing") is None


def test_the_messages_live_beside_the_grpc_client_and_do_not_import_it() -> None:
    program = (
        "import sys\nfrom tritium.config.pbtxt import read_config\nassert not any(m in "
        "('grpc', 'tritonclient.grpc') for m in sys.modules), 'grpc is imported'\nimport tritonclient.grpc "
        "as client\nfrom tritium.config.messages import new_message\nassert type(new_message()) is "
        "client.model_config_pb2.ModelConfig\nassert read_config('backend: \"x\"', 'c').backend == 'x'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
