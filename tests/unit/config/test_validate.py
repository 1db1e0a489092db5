from __future__ import annotations

from dataclasses import replace

import pytest

from tritium.config.defaults import normalize, with_name
from tritium.config.pbtxt import read_config
from tritium.config.validate import check
from tritium.core.model_config import ModelConfig, ModelInstanceGroup, ModelParameter
from tritium.errors import ConfigError

IO = """
input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
"""


def checked(text: str, *, backend: str = 'backend: "python"', gpus: tuple[int, ...] = ()) -> ModelConfig:
    config = normalize(with_name(read_config(backend + IO + text, "config.pbtxt"), "m"), gpus=gpus)
    check(config, gpus=gpus)
    return config


def refusal(text: str, *, backend: str = 'backend: "python"', gpus: tuple[int, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(text, backend=backend, gpus=gpus)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "max_batch_size: 8",
        "dynamic_batching { }",
        "sequence_batching { }",
        "sequence_batching { oldest { max_candidate_sequences: 0 } }",
        'platform: "tensorflow_graphdef"',
        'instance_group [ { count: -1 name: "a" }, { name: "a" kind: KIND_MODEL passive: true } ]',
        "response_cache { enable: true }",
        "response_cache { } model_transaction_policy { decoupled: true }",
        'parameters { key: "TRITIUM_EXECUTION" value { string_value: "process" } }',
        'output { name: "O2" data_type: TYPE_FP32 dims: 2 label_filename: "labels/o2.txt" }',
    ],
)
def test_takes_what_triton_takes(text: str) -> None:
    checked(text)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("max_batch_size: -1", "'max_batch_size' must be non-negative value for m"),
        (
            "max_batch_size: 4 sequence_batching { } response_cache { enable: true }",
            (
                "Response Cache does not currently support model m with sequence batching scheduler. Please "
                "disable the response cache."
            ),
        ),
        (
            "model_transaction_policy { decoupled: true } response_cache { enable: true }",
            (
                "Response Cache does not currently support model m with 'decoupled' transaction policy. "
                "Please disable the response cache."
            ),
        ),
        (
            "instance_group { kind: KIND_GPU }",
            (
                "instance group m_0 of model m has kind KIND_GPU but no GPUs are available. Change kind to "
                "KIND_CPU or KIND_AUTO, or remove it, or serve it on the CPU by --cpu-fallback"
            ),
        ),
        (
            "instance_group { kind: KIND_GPU gpus: [ 7 ] }",
            (
                "instance group m_0 of model m specifies invalid or unsupported gpu id 7. GPUs with at "
                "least the minimum required CUDA compute compatibility of 6.000000 are: "
            ),
        ),
        (
            "instance_group { kind: KIND_CPU gpus: [ 0 ] }",
            "instance group m_0 of model m has kind KIND_CPU but specifies one or more GPUs",
        ),
        (
            "instance_group { kind: KIND_MODEL gpus: [ 0 ] }",
            "instance group m_0 of model m has kind KIND_MODEL but specifies one or more GPUs",
        ),
        ("instance_group { count: 2147483647 }", "instance group m_0 of model m has count 2147483647"),
        ('parameters { key: "" value { string_value: "x" } }', "parameter '' of m must have a key"),
        ('parameters { key: "k" value { string_value: "a\\000" } }', "parameter 'k' of m holds a NUL"),
        (
            'parameters { key: "TRITIUM_EXECUTION" value { string_value: "fibre" } }',
            "parameter 'TRITIUM_EXECUTION' of m is 'fibre'; write one of thread, process",
        ),
        ('ensemble_scheduling { step { } } platform: "x"', "ensemble scheduling cannot be set for model 'm'"),
        ('platform: "ensemble"', "ensemble m has backend 'python'"),
    ],
)
def test_says_the_cause_in_tritons_words(text: str, cause: str) -> None:
    assert refusal(text).startswith(cause)


@pytest.mark.parametrize(
    ("backend", "cause"),
    [
        ("", "must specify 'platform' or 'backend' for m"),
        ('platform: "foo_bar"', "unexpected platform type 'foo_bar' for m"),
        ('platform: "ensemble"', "ensemble scheduling must be set for ensemble m whose platform is ensemble"),
    ],
)
def test_something_must_run_the_model(backend: str, cause: str) -> None:
    assert refusal("", backend=backend).startswith(cause)


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/file", "a/../../b", "a\\000b"])
@pytest.mark.parametrize(
    ("field", "template"),
    [
        ("runtime", 'runtime: "{}"'),
        ("default_model_filename", 'default_model_filename: "{}"'),
        ("cc_model_filenames[7.5]", 'cc_model_filenames {{ key: "7.5" value: "{}" }}'),
        ("label_filename", 'output {{ name: "O2" data_type: TYPE_FP32 dims: 1 label_filename: "{}" }}'),
        ("op_library_filename", 'model_operations {{ op_library_filename: "{}" }}'),
        ("input_data_file", 'model_warmup {{ inputs {{ key: "IN" value {{ input_data_file: "{}" }} }} }}'),
        ("data_file", 'sequence_batching {{ state {{ initial_state {{ data_file: "{}" }} }} }}'),
    ],
)
def test_no_file_name_leaves_the_models_directory(field: str, template: str, path: str) -> None:
    assert refusal(template.format(path)).startswith(f"'{field}' of m ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('metric_tags { key: "a" value: "b\\n" }', "'metric_tags.a' of m is 'b\\n'"),
        ('metric_tags { key: "a\\n" value: "b" }', "'metric_tags' of m is 'a\\n'"),
        ('input { name: "\\r" }', "'input.name' of m is '\\r'"),
        ('instance_group { profile: [ "ok", "\\t" ] }', "'instance_group.profile' of m is '\\t'"),
    ],
)
def test_no_name_breaks_a_line(text: str, place: str) -> None:
    assert refusal(text).startswith(f"{place}, which holds characters that cannot be printed")


def test_the_values_of_parameters_may_have_lines() -> None:
    checked('parameters { key: "script" value { string_value: "a\\nb" } }')
    checked(
        "optimization { execution_accelerators { cpu_execution_accelerator { "
        'name: "a" parameters { key: "k" value: "a\\nb" } } } }'
    )


def test_usable_devices_are_taken() -> None:
    config = checked("instance_group { kind: KIND_GPU gpus: [ 1 ] }", gpus=(0, 1))
    assert config.instance_group[0].gpus == (1,)
    text = refusal("instance_group { kind: KIND_GPU gpus: [ 7 ] }", gpus=(0, 1))
    assert text.endswith(
        "invalid or unsupported gpu id 7. GPUs with at least the minimum required CUDA compute "
        "compatibility of 6.000000 are: 0 1 "
    )


def test_the_rules_hold_for_configurations_that_were_never_files() -> None:
    good = ModelConfig(name="m", backend="python")
    check(good)
    bad = (
        replace(good, name="../m"),
        replace(good, parameters={"a\nb": ModelParameter("x")}),
        replace(good, instance_group=(ModelInstanceGroup(name="g", kind="KIND_GPU"),)),
    )
    for config in bad:
        with pytest.raises(ConfigError):
            check(config)


@pytest.mark.parametrize("key", ["a b", "1a", "", "model", "version", "reason", "é"])
def test_a_metric_tag_must_be_a_label_of_its_own(key: str) -> None:
    with pytest.raises(ConfigError, match="metric_tags of m has key"):
        check(replace(normalize(with_name(ModelConfig(backend="python"), "m")), metric_tags={key: "v"}))
