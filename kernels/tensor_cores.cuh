// C = A B on tensor cores, in TF32: v5 of gemm.cuh.
//
// A warp multiplies 16x8 by 8x8 in one instruction, from operands rounded to 10 bits of mantissa; the sums are
// floats. The tiles arrive through the pipeline of v4 as floats, and are rounded as they are read.
#pragma once

#include "pipeline.cuh"

// A warp computes warp_m x warp_n elements, in rectangles of 16 x 8.
template <int block_m, int block_n, int warp_m, int warp_n>
struct GemmTf32 {
    static_assert(sizeof(REAL) == sizeof(float), "tensor cores round to TF32");
    static constexpr int block_k = 16, pad = 8;  // four rows of eight neighbours: each bank once
    static constexpr int threads = 32 * (block_m / warp_m) * (block_n / warp_n);
    static constexpr int across_m = warp_m / 16, across_n = warp_n / 8;

    template <class A, class B>
    using Tiles = BufferPair<A, B, block_m, block_n, block_k, pad>;

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles<A, B>& tiles, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        const int i0 = blockIdx.y * block_m, j0 = blockIdx.x * block_n;
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        const int warp_i = warp / (block_n / warp_n) * warp_m, warp_j = warp % (block_n / warp_n) * warp_n;
        const int eighth = lane / 4, quarter = lane % 4;  // where a lane stands (mma_tf32 of ptx.cuh)
        float sum[across_m][across_n][4] = {};

        Copier<A, block_m, block_k, pad, threads> copy_a(tiles.a, a, i0, m, k_end);
        Copier<B, block_n, block_k, pad, threads> copy_b(tiles.b, b, j0, n, k_end);
        pipeline<block_k>(copy_a, copy_b, k_begin, k_end, [&](int stage) {
#pragma unroll
            for (int k = 0; k < block_k; k += 8) {
                unsigned a_part[across_m][4], b_part[across_n][2];
#pragma unroll
                for (int r = 0; r < across_m; r++)
#pragma unroll
                    for (int e = 0; e < 4; e++)
                        a_part[r][e] = to_tf32(
                            tiles.a.tile[stage][k + quarter + e / 2 * 4][warp_i + r * 16 + eighth + e % 2 * 8]);
#pragma unroll
                for (int r = 0; r < across_n; r++)
#pragma unroll
                    for (int e = 0; e < 2; e++)
                        b_part[r][e] = to_tf32(tiles.b.tile[stage][k + quarter + e * 4][warp_j + r * 8 + eighth]);
#pragma unroll
                for (int r = 0; r < across_m; r++)
#pragma unroll
                    for (int q = 0; q < across_n; q++) mma_tf32(sum[r][q], a_part[r], b_part[q]);
            }
        });

#pragma unroll
        for (int r = 0; r < across_m; r++)
#pragma unroll
            for (int q = 0; q < across_n; q++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int i = i0 + warp_i + r * 16 + eighth + e / 2 * 8;
                    const int j = j0 + warp_j + q * 8 + quarter * 2 + e % 2;
                    if (i < m && j < n) store(i, j, sum[r][q][e]);
                }
    }
};
