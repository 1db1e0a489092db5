from __future__ import annotations

from tests.unit.oneflow import (
    test_elementwise,
    test_layers,
    test_matrices,
    test_reductions,
    test_resizing,
    test_selections,
    test_shapes,
)
from tritium.oneflow.table import OPERATIONS

MODULES = (
    test_elementwise, test_layers, test_matrices, test_reductions, test_resizing, test_selections,
    test_shapes,
)  # fmt: skip
# What a zoo of 40 small graphs and 7 networks of flowvision needs.
NEEDED = (
    "reshape broadcast_mul broadcast_add broadcast_sub broadcast_div conv2d deconv2d scalar_mul "
    "scalar_add scalar_div "
    "normalization_infer reduce_sum add_n add_n2 relu transpose bias_add slice narrow "
    "broadcast_matmul matmul "
    "batch_matmul rsqrt sqrt reflection_pad2d sigmoid tanh silu gelu hardtanh softmax concat stack "
    "expand expand_dims "
    "squeeze adaptive_avg_pool1d adaptive_avg_pool2d max_pool_2d cast gather gather_nd roll "
    "upsample_nearest_2d "
    "upsample_bilinear_2d constant where logical_not scalar_mul_by_tensor"
)


def test_every_operation_of_the_table_has_a_test() -> None:
    assert set(OPERATIONS) == set().union(*(module.TESTED for module in MODULES))


def test_the_operations_that_common_networks_need_are_there() -> None:
    assert set(NEEDED.split()) <= set(OPERATIONS)
