// Convolution and its gradients on tensor cores (conv2d.cuh says what they are; tensor_cores.cuh how it is done).
#include "conv2d.cuh"
#include "tensor_cores.cuh"

CONV2D(conv2d_v5, GemmTf32<128, 128, 32, 64>)
CONV2D(conv2d_v5_small, GemmTf32<64, 64, 32, 16>)

CONV2D_DX(conv2d_dx_v5, GemmTf32<128, 128, 32, 64>)
CONV2D_DX(conv2d_dx_v5_small, GemmTf32<64, 64, 32, 16>)

CONV2D_DW(conv2d_dw_v5, GemmTf32<128, 128, 32, 64>)
CONV2D_DW(conv2d_dw_v5_small, GemmTf32<64, 64, 32, 16>)
