#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>

#define CEIL_DIV(a, b) (((a) + (b) - 1) / (b))
#define CHECK(call)                                                              \
    do {                                                                         \
        cudaError_t status = (call);                                             \
        if (status != cudaSuccess) {                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(status)); \
            exit(EXIT_FAILURE);                                                  \
        }                                                                        \
    } while (0)

const uint WARPSIZE = 32;

namespace tiles {

template <const int BM, const int BN, const int BK, const int NUM_THREADS>
__device__ void load_from_gmem(int N, int K, const float *A, const float *B, float *As, float *Bs) {
    // A is turned on its way, in fours along K
    for (uint i = threadIdx.x; i < BM * BK / 4; i += NUM_THREADS) {
        const uint row = i / (BK / 4), col = i % (BK / 4) * 4;
        const float4 tmp = reinterpret_cast<const float4 *>(&A[row * K + col])[0];
        As[(col + 0) * BM + row] = tmp.x;
        As[(col + 1) * BM + row] = tmp.y;
        As[(col + 2) * BM + row] = tmp.z;
        As[(col + 3) * BM + row] = tmp.w;
    }
    for (uint i = threadIdx.x; i < BK * BN / 4; i += NUM_THREADS) {
        const uint row = i / (BN / 4), col = i % (BN / 4) * 4;
        reinterpret_cast<float4 *>(&Bs[row * BN + col])[0] =
            reinterpret_cast<const float4 *>(&B[row * N + col])[0];
    }
}

template <const int BM, const int BN, const int BK, const int WM, const int WN, const int TM, const int TN>
__device__ void multiply(float *results, const float *As, const float *Bs, uint warp_row, uint warp_col,
                         uint lane_row, uint lane_col) {
    float reg_m[TM], reg_n[TN];
    for (uint k = 0; k < BK; ++k) {
        for (uint i = 0; i < TM; ++i) reg_m[i] = As[k * BM + warp_row * WM + lane_row * TM + i];
        for (uint j = 0; j < TN; ++j) reg_n[j] = Bs[k * BN + warp_col * WN + lane_col * TN + j];
        for (uint i = 0; i < TM; ++i)
            for (uint j = 0; j < TN; ++j) results[i * TN + j] += reg_m[i] * reg_n[j];
    }
}

}  // namespace tiles

/* M, N and K are multiples of the tiles. */
template <const int BM, const int BN, const int BK, const int WM, const int WN, const int TM, const int TN,
          const int NUM_THREADS>
__global__ void __launch_bounds__(NUM_THREADS)
    sgemm_warps(int M, int N, int K, float alpha, float *A, float *B, float beta, float *C) {
    static_assert((WM / TM) * (WN / TN) == WARPSIZE, "a warp covers its tile");
    const uint warp = threadIdx.x / WARPSIZE, lane = threadIdx.x % WARPSIZE;
    const uint warp_col = warp % (BN / WN), warp_row = warp / (BN / WN);
    const uint lane_col = lane % (WN / TN), lane_row = lane / (WN / TN);

    __shared__ float As[BM * BK];
    __shared__ float Bs[BK * BN];

    A += blockIdx.y * BM * K;
    B += blockIdx.x * BN;
    C += (blockIdx.y * BM + warp_row * WM) * N + blockIdx.x * BN + warp_col * WN;

    float results[TM * TN] = {0.0};
    for (uint k = 0; k < K; k += BK) {
        tiles::load_from_gmem<BM, BN, BK, NUM_THREADS>(N, K, A, B, As, Bs);
        __syncthreads();
        tiles::multiply<BM, BN, BK, WM, WN, TM, TN>(results, As, Bs, warp_row, warp_col, lane_row, lane_col);
        A += BK;
        B += BK * N;
        __syncthreads();
    }
    for (uint i = 0; i < TM; ++i)
        for (uint j = 0; j < TN; j += 4) {
            float4 *to = reinterpret_cast<float4 *>(&C[(lane_row * TM + i) * N + lane_col * TN + j]);
            float4 tmp = to[0];
            tmp.x = alpha * results[i * TN + j + 0] + beta * tmp.x;
            tmp.y = alpha * results[i * TN + j + 1] + beta * tmp.y;
            tmp.z = alpha * results[i * TN + j + 2] + beta * tmp.z;
            tmp.w = alpha * results[i * TN + j + 3] + beta * tmp.w;
            to[0] = tmp;
        }
}
