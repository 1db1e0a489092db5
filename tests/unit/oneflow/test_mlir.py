from __future__ import annotations

import math

import pytest

from tests.unit.oneflow.texts import TEXT
from tritium.core.tensor import DataType
from tritium.errors import ConfigError
from tritium.oneflow.graph import TensorType
from tritium.oneflow.mlir import MAX_DEPTH, Module, parse

RELU_END = '"m-relu-0"} : (tensor<1x3xf32>) -> '


def attribute(value: str) -> object:
    text = TEXT.replace('{op_name = "m-relu-0"}', '{a = VALUE, op_name = "m-relu-0"}')
    return parse(text.replace("VALUE", value), "f").operations[2].attributes["a"]


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "1/model/model.mlir")
    return str(caught.value)


def test_a_graph_becomes_operations_in_order() -> None:
    module = parse(TEXT, "f")
    assert [op.kind for op in module.operations] == ["input", "variable", "relu", "broadcast_add", "output"]
    add = module.operations[3]
    assert (add.name, add.line) == ("m-broadcast_add-1", 6)
    assert (add.operands, add.results) == (("%0", "%output_0"), ("%1",))
    assert add.operand_types == (TensorType(DataType.FP32, (1, 3)), TensorType(DataType.FP32, (3,)))
    assert (module.arguments, module.returned) == (("%arg0",), ("%output_1",))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("4 : si32", 4),
        ("-4 : si64", -4),
        ("true", True),
        ("9.99999974E-6 : f32", 9.99999974e-6),
        ("1 : f32", 1.0),
        ("-5.000000e-01 : f64", -0.5),
        ("0x7F800000 : f32", math.inf),
        ("0xFC00 : f16", -math.inf),
        ("0x10 : i64", 16),
        ("[]", ()),
        ("[1 : si64, [2, 3]]", (1, (2, 3))),
        ("dense<[1, 0]> : vector<2xi32>", (1, 0)),
        ("dense<> : vector<0xi32>", ()),
        (r'"a\22b\\c\0Ad"', 'a"b\\c\nd'),
        (r'"\C3\A9"', "é"),
        ("#sbp.parallel<[#a<1>] -> [[#sbp.B]]>", "#sbp.parallel"),
    ],
)
def test_attributes(written: str, value: object) -> None:
    found = attribute(written)
    assert found == value
    assert type(found) is type(value)


def test_an_attribute_without_a_value_is_true() -> None:
    text = TEXT.replace('{op_name = "m-relu-0"}', '{flagged, op_name = "m-relu-0"}')
    assert parse(text, "f").operations[2].attributes["flagged"] is True


def test_several_results_are_numbered_or_named() -> None:
    for left, use in [("%0:2", "%0#0"), ("%0, %x", "%0")]:
        text = TEXT.replace('%0 = "oneflow.relu"', f'{left} = "oneflow.relu"')
        text = text.replace(f"{RELU_END}tensor<1x3xf32>", f"{RELU_END}(tensor<1x3xf32>, tensor<1x3xsi64>)")
        module: Module = parse(text.replace('broadcast_add"(%0,', f'broadcast_add"({use},'), "f")
        assert [t.element for t in module.operations[2].result_types] == [DataType.FP32, DataType.INT64]


def test_scalars_have_no_dimensions() -> None:
    text = TEXT.replace("1x3xf32", "f32")
    assert parse(text, "f").operations[2].operand_types == (TensorType(DataType.FP32, ()),)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (TEXT, "", "line 1: expected 'module', found the end of the file"),
        (TEXT, "cat", "line 1: expected 'module', found 'cat'"),
        ("  }\n}\n", "", "line 9: expected '}', found the end of the file"),
        ("module {", "module", "line 2: expected '{', found 'oneflow.job'"),
        ('"oneflow.relu"', '"tosa.relu"', "line 5: the operation 'tosa.relu' is not one of OneFlow's"),
        ('"oneflow.relu"(%output)', '"oneflow.relu"(%7)', "line 5 (relu): the value %7 is used before"),
        ('op_name = "m-relu-0"', "", "line 5, op '' (relu): the attribute 'op_name' is missing"),
        ('%1 = "', '%0 = "', "op 'm-broadcast_add-1' (broadcast_add): the value %0 is made twice"),
        ("(tensor<1x3xf32>, tensor<3xf32>)", "(tensor<1x3xf32>)", "line 6, op 'm-broadcast_add-1'"),
        (f"{RELU_END}tensor<1x3xf32>", f"{RELU_END}()", "1 results but 0"),
        ("tensor<3xf32>\n", "tensor<3xcomplex>\n", "line 4, op 'm.w' (variable): the type tensor<3xcomplex>"),
        ("tensor<3xf32>\n", "tensor<*xf32>\n", "the type tensor<*xf32> is none"),
        ("tensor<3xf32>\n", f"tensor<{'999999999999x' * 9}f32>\n", "more than 32 dimensions or"),
        ("trainable = false", "trainable = )", "line 4 (variable), op 'm.w': expected a value, found ')'"),
        ("trainable = false", 'shape = "3"', "the attribute 'shape' is given twice"),
        ("trainable = false", f"x = {'9' * 41}", "is too long"),
        ("trainable = false", f"x = {'[' * 99}", f"nested more than {MAX_DEPTH} deep"),
        ("trainable = false", 'x = "\\q"', "\\q is no escape"),
        ("trainable = false", 'x = "\\FF"', "a string is not UTF-8"),
        ("trainable = false", "x = 0x1FFFFFFFFF : f32", "has more bits than f32"),
        ("trainable = false", f"x = {1 << 63}", "takes more than 64 bits"),
        ("trainable = false", "x = 0x1FFFFFFFFFFFFFFFFF", "has more bits than any number"),
        ("trainable = false", "x = #a<", "op 'm.w': expected '>', found the end of the file"),
        ("return %output_1 :", "return %0, %1 :", "the returned values have other types"),
        ('%0 = "oneflow.relu"', '%0:99999 = "oneflow.relu"', "more results than any operation has"),
        ("}\n}\n", "}\n}\n}\n", "line 11: expected the end of the file, found '}'"),
    ],
)
def test_what_does_not_fit_is_an_error_with_its_line(old: str, new: str, expected: str) -> None:
    text = error_of(TEXT.replace(old, new, 1))
    assert text.startswith("1/model/model.mlir, line ")
    assert expected in text
    assert text.endswith("save the graph again")
