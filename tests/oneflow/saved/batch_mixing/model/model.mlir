module {
  oneflow.job @Saved_4(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %output = "oneflow.input"(%arg0) {data_type = 2 : i32, device_name = ["@0:0"], device_tag = "cpu", hierarchy = [1], is_dynamic = false, nd_sbp = ["B"], op_name = "_Saved_4_input.0.0_2", output_lbns = ["_Saved_4_input.0.0_2/out"], scope_symbol_id = 482 : i64, shape = [2 : si64, 3 : si64]} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    %0 = "oneflow.reduce_sum"(%output) {axis = [0 : si32], device_name = ["@0:0"], device_tag = "cpu", hierarchy = [1], keepdims = true, op_name = "module-reduce_sum-0", scope_symbol_id = 486 : i64} : (tensor<2x3xf32>) -> tensor<1x3xf32>
    %1 = "oneflow.scalar_mul"(%0) {device_name = ["@0:0"], device_tag = "cpu", float_operand = 5.000000e-01 : f64, has_float_operand = true, has_int_operand = false, hierarchy = [1], int_operand = 0 : si64, op_name = "module-scalar_mul-1", scope_symbol_id = 486 : i64} : (tensor<1x3xf32>) -> tensor<1x3xf32>
    %2 = "oneflow.broadcast_sub"(%output, %1) {device_name = ["@0:0"], device_tag = "cpu", hierarchy = [1], op_name = "module-broadcast_sub-2", scope_symbol_id = 486 : i64} : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<2x3xf32>
    %output_0 = "oneflow.output"(%2) {data_type = 2 : i32, device_name = ["@0:0"], device_tag = "cpu", hierarchy = [1], is_dynamic = false, nd_sbp = ["B"], op_name = "_Saved_4_output.0.0_2", output_lbns = ["_Saved_4_output.0.0_2/out"], scope_symbol_id = 482 : i64, shape = [2 : si64, 3 : si64]} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    oneflow.return %output_0 : tensor<2x3xf32>
  }
}
