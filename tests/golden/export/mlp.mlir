module @perceptron attributes {arraylib.format = 1 : i32, arraylib.in_tree = "{\22tuple\22:[{\22tuple\22:[{\22dict\22:[[\22b\22,\22*\22],[\22w\22,\22*\22]]},\22*\22]},{\22dict\22:[[\22scale\22,\22*\22]]}]}", arraylib.out_tree = "{\22dict\22:[[\22loss\22,\22*\22],[\22parts\22,{\22list\22:[\22*\22,null]}]]}", arraylib.platforms = ["cpu"], arraylib.version = "0.1.0", mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2xf32> {arraylib.name = "params['b']"}, %arg1: tensor<3x2xf32> {arraylib.name = "params['w']"}, %arg2: tensor<4x3xf32> {arraylib.name = "x"}, %arg3: tensor<f32> {arraylib.name = "scale"}) -> (tensor<f32> {jax.result_info = "result['loss']"}, tensor<4x2xf32> {jax.result_info = "result['parts'][0]"}) {
    %0 = stablehlo.dot_general %arg2, %arg1, contracting_dims = [1] x [0] : (tensor<4x3xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
    %1 = stablehlo.broadcast_in_dim %arg0, dims = [1] : (tensor<2xf32>) -> tensor<4x2xf32>
    %2 = stablehlo.add %0, %1 : tensor<4x2xf32>
    %3 = stablehlo.tanh %2 : tensor<4x2xf32>
    %4 = stablehlo.broadcast_in_dim %arg3, dims = [] : (tensor<f32>) -> tensor<4x2xf32>
    %5 = stablehlo.multiply %3, %4 : tensor<4x2xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %6 = stablehlo.reduce(%5 init: %cst) applies stablehlo.add across dimensions = [0, 1] : (tensor<4x2xf32>, tensor<f32>) -> tensor<f32>
    return %6, %3 : tensor<f32>, tensor<4x2xf32>
  }
}
