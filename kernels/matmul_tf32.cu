// The matrix product on tensor cores (matmul.cuh says what it is; tensor_cores.cuh how it is done).
#include "matmul.cuh"
#include "tensor_cores.cuh"

MATMUL(matmul_v5, GemmTf32<128, 128, 32, 64>)
MATMUL(matmul_v5_small, GemmTf32<64, 64, 32, 16>)
