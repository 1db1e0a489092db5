"""The text of a small saved graph: y = relu(x) + w."""

from __future__ import annotations

from pathlib import Path

TEXT = """module {
  oneflow.job @G_0(%arg0: tensor<1x3xf32>) -> tensor<1x3xf32> {
    %output = "oneflow.input"(%arg0) {data_type = 2 : i32, op_name = "_G_0_input.0.0_2", shape = [1 : si64, 3 : si64]} : (tensor<1x3xf32>) -> tensor<1x3xf32>
    %output_0 = "oneflow.variable"() {data_type = 2 : i32, op_name = "m.w", parallel = #sbp.parallel<[] -> [[#sbp.B]]>, shape = [3 : si64], trainable = false} : () -> tensor<3xf32>
    %0 = "oneflow.relu"(%output) {op_name = "m-relu-0"} : (tensor<1x3xf32>) -> tensor<1x3xf32>
    %1 = "oneflow.broadcast_add"(%0, %output_0) {op_name = "m-broadcast_add-1"} : (tensor<1x3xf32>, tensor<3xf32>) -> tensor<1x3xf32>
    %output_1 = "oneflow.output"(%1) {data_type = 2 : i32, op_name = "_G_0_output.0.0_2", shape = [1 : si64, 3 : si64]} : (tensor<1x3xf32>) -> tensor<1x3xf32>
    oneflow.return %output_1 : tensor<1x3xf32>
  }
}
"""  # noqa: E501


def write_graph(directory: Path, text: str = TEXT, weights: bytes = bytes(12)) -> Path:
    """``directory/1/model`` with this text and the parameter m.w."""
    model = directory / "1" / "model"
    (model / "m.w").mkdir(parents=True)
    (model / "model.mlir").write_text(text)
    (model / "m.w" / "out").write_bytes(weights)
    return model
