from __future__ import annotations

import json

from tritium.config.defaults import normalize, with_name
from tritium.config.document import document_of
from tritium.config.pbtxt import config_from_document, read_config
from tritium.core.model_config import (
    EnsembleScheduling,
    ModelConfig,
    SequenceBatching,
    SequenceControl,
    SequenceControlInput,
    StrategyDirect,
)

# As Triton 2.51 answered for the configuration below.
ECHO = (
    '{"name":"echo","platform":"","backend":"python","runtime":"",'
    '"version_policy":{"latest":{"num_versions":1}},"max_batch_size":8,'
    '"input":[{"name":"IN","data_type":"TYPE_FP32","format":"FORMAT_NONE","dims":[-1],"is_shape_tensor":false,'
    '"allow_ragged_batch":false,"optional":false,"is_non_linear_format_io":false}],'
    '"output":[{"name":"OUT","data_type":"TYPE_FP32","dims":[-1],"label_filename":"","is_shape_tensor":false,'
    '"is_non_linear_format_io":false}],'
    '"batch_input":[],"batch_output":[],'
    '"optimization":{"priority":"PRIORITY_DEFAULT","input_pinned_memory":{"enable":true},'
    '"output_pinned_memory":{"enable":true},"gather_kernel_buffer_threshold":0,"eager_batching":false},'
    '"instance_group":[{"name":"echo","kind":"KIND_CPU","count":1,"gpus":[],"secondary_devices":[],"profile":[],'
    '"passive":false,"host_policy":""}],'
    '"default_model_filename":"model.py","cc_model_filenames":{},"metric_tags":{},"parameters":{},'
    '"model_warmup":[]}'
)
ECHO_TEXT = """
backend: "python" max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: -1 }
output { name: "OUT" data_type: TYPE_FP32 dims: -1 }
"""


def shown(text: str) -> str:
    config = normalize(with_name(read_config(text, "config.pbtxt"), "echo"))
    return json.dumps(document_of(config), separators=(",", ":"))


def test_is_tritons_document_to_the_byte() -> None:
    assert shown(ECHO_TEXT) == ECHO


def test_an_empty_reshape_stands_between_dims_and_flags() -> None:
    text = ECHO_TEXT.replace("dims: -1", "dims: 1 reshape { shape: [ ] }")
    assert '"dims":[1],"reshape":{"shape":[]},"is_shape_tensor"' in shown(text)
    assert '"dims":[1],"reshape":{"shape":[]},"label_filename"' in shown(text)


def test_the_scheduler_stands_between_optimization_and_instances() -> None:
    assert (
        '"eager_batching":false},"dynamic_batching":{"preferred_batch_size":[8],"max_queue_delay_microseconds":0,'
        '"preserve_ordering":false,"priority_levels":0,"default_priority_level":0,"priority_queue_policy":{}},'
        '"instance_group"'
    ) in shown(ECHO_TEXT + "dynamic_batching { }")


def test_keys_of_priority_policies_are_strings() -> None:
    text = ECHO_TEXT + "dynamic_batching { priority_queue_policy { key: 1 value { max_queue_size: 1 } } }"
    assert (
        '"priority_queue_policy":{"1":{"timeout_action":"REJECT","default_timeout_microseconds":0,'
        '"allow_timeout_override":false,"max_queue_size":1}}'
    ) in shown(text)


def test_a_control_shows_all_its_lists() -> None:
    control = SequenceControl("CONTROL_SEQUENCE_START", fp32_false_true=(0.0, 1.0))
    batching = SequenceBatching(control_input=(SequenceControlInput("START", (control,)),))
    document = document_of(ModelConfig(sequence_batching=batching))
    assert json.dumps(document["sequence_batching"], separators=(",", ":")) == (
        '{"max_sequence_idle_microseconds":0,"control_input":[{"name":"START","control":['
        '{"kind":"CONTROL_SEQUENCE_START","int32_false_true":[],"fp32_false_true":[0,1],"bool_false_true":[],'
        '"data_type":"TYPE_INVALID"}]}],"state":[],"iterative_sequence":false}'
    )


def test_floats_are_numbers_or_protobufs_words() -> None:
    values = {0.5: 0.5, 2.0: 2, float("inf"): "Infinity", float("-inf"): "-Infinity"}
    for value, expected in values.items():
        batching = SequenceBatching(direct=StrategyDirect(minimum_slot_utilization=value))
        document = document_of(ModelConfig(sequence_batching=batching))
        assert document["sequence_batching"]["direct"]["minimum_slot_utilization"] == expected
    batching = SequenceBatching(direct=StrategyDirect(minimum_slot_utilization=float("nan")))
    document = document_of(ModelConfig(sequence_batching=batching))
    assert document["sequence_batching"]["direct"]["minimum_slot_utilization"] == "NaN"


def test_a_field_newer_than_2_51_is_shown_only_when_set() -> None:
    def ensemble(bound: int) -> object:
        scheduling = EnsembleScheduling(max_inflight_requests=bound)
        return document_of(ModelConfig(ensemble_scheduling=scheduling))["ensemble_scheduling"]

    assert ensemble(0) == {"step": []}
    assert ensemble(3) == {"step": [], "max_inflight_requests": 3}


def test_optional_blocks_trail_in_the_order_of_the_proto() -> None:
    text = ECHO_TEXT + (
        "model_transaction_policy { } response_cache { } model_metrics { } model_operations { } "
        "model_repository_agents { }"
    )
    assert shown(text).endswith(
        '"model_warmup":[],"model_operations":{"op_library_filename":[]},'
        '"model_transaction_policy":{"decoupled":false},"model_repository_agents":{"agents":[]},'
        '"response_cache":{"enable":false},"model_metrics":{"metric_control":[]}}'
    )


def test_a_document_is_read_back_to_the_same_configuration() -> None:
    text = (
        ECHO_TEXT
        + """
    instance_group { rate_limiter { resources { name: "r" global: true } } }
    sequence_batching {
      direct { minimum_slot_utilization: 0.3 }
      state { input_name: "a" output_name: "b" initial_state { zero_data: false } }
    }
    version_policy { all { } }
    """
    )
    config = normalize(with_name(read_config(text, "config.pbtxt"), "echo"))
    assert config_from_document(json.loads(json.dumps(document_of(config)))) == config
