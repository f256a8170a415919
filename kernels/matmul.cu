// The versions of the matrix product that compute in the type they are given (matmul.cuh says what it is).
//
//     v1_naive      a thread for each element of C
//     v2_shared     tiles in shared memory
//     v3_registers  several elements of C for each thread
//     v4_pipelined  the next tiles are copied meanwhile; loads of 16 bytes
//
// v5_tf32 is in matmul_tf32.cu.
#include "matmul.cuh"
#include "pipeline.cuh"

MATMUL(matmul_v1, GemmNaive)
MATMUL(matmul_v2, GemmShared<16>)
MATMUL(matmul_v3, GemmRegisters<64, 64, 16, 4, 4>)
MATMUL(matmul_v4, GemmPipelined<128, 128, 8, 8>)
MATMUL(matmul_v4_small, GemmPipelined<64, 64, 4, 4>)
