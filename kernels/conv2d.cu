// The versions of convolution and its gradients that compute in the type they are given (conv2d.cuh says what
// they are).
//
//     v1_naive      a thread for each element of the result
//     v2_shared     tiles in shared memory
//     v3_registers  several elements for each thread
//     v4_pipelined  the next tiles are copied meanwhile; loads of 16 bytes
//
// v5_tf32 is in conv2d_tf32.cu, v6_winograd in winograd.cu, and what is made for few channels in conv2d_thin.cu.
#include "conv2d.cuh"
#include "pipeline.cuh"

CONV2D(conv2d_v1, GemmNaive)
CONV2D(conv2d_v2, GemmShared<16>)
CONV2D(conv2d_v3, GemmRegisters<64, 64, 16, 4, 4>)
CONV2D(conv2d_v4, GemmPipelined<128, 128, 8, 8>)
CONV2D(conv2d_v4_small, GemmPipelined<64, 64, 4, 4>)

CONV2D_DX(conv2d_dx_v1, GemmNaive)
CONV2D_DX(conv2d_dx_v2, GemmShared<16>)
CONV2D_DX(conv2d_dx_v3, GemmRegisters<64, 64, 16, 4, 4>)
CONV2D_DX(conv2d_dx_v4, GemmPipelined<128, 128, 8, 8>)
CONV2D_DX(conv2d_dx_v4_small, GemmPipelined<64, 64, 4, 4>)

CONV2D_DW(conv2d_dw_v1, GemmNaive)
CONV2D_DW(conv2d_dw_v2, GemmShared<16>)
CONV2D_DW(conv2d_dw_v3, GemmRegisters<64, 64, 16, 4, 4>)
CONV2D_DW(conv2d_dw_v4, GemmPipelined<128, 128, 8, 8>)
CONV2D_DW(conv2d_dw_v4_small, GemmPipelined<64, 64, 4, 4>)

// The second pass of conv2d_dw: the parts of the sum added up, always in the same order.
extern "C" __global__ void sum_parts(const REAL* parts, REAL* result, int count, int part_count) {
    FOR_EACH(i, count) {
        REAL sum = 0;
        for (int part = 0; part < part_count; part++) sum += parts[part * count + i];
        result[i] = sum;
    }
}
