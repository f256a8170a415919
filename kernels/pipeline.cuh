// C = A B while the next tiles are on their way: v4 of gemm.cuh, and the pipeline that v5 shares with it.
//
// There are two buffers. While the threads compute from one, asynchronous copies fill the other, which
// no register holds up and no thread waits for until it is needed. One barrier a tile is enough:
//
//     wait for the copies of tile t; barrier     everybody's copies are there, and tile t - 1 is done with
//     begin the copies of tile t + 1             into the buffer of tile t - 1
//     compute tile t
//
// Where an element lies takes divisions by numbers that only the launch knows, some 20 instructions each. So
// what a thread needs for every one of its copies is computed once and kept in registers, and what changes
// from copy to copy is computed by one thread and looked up in shared memory by the others.
#pragma once

#include "gemm.cuh"
#include "ptx.cuh"

// One operand's share of the shared memory: two tiles, and the tables of what is looked up.
template <class Operand, int lines, int block_k, int pad>
struct Buffers {
    REAL tile[2][block_k][lines + pad];
    typename Operand::Offset line[lines];      // if k is inner
    typename Operand::Offset step[2][block_k]; // otherwise
};

// Both operands' shares: all the shared memory of a block.
template <class A, class B, int block_m, int block_n, int block_k, int pad>
struct alignas(16) BufferPair {
    Buffers<A, block_m, block_k, pad> a;
    Buffers<B, block_n, block_k, pad> b;
};

// One thread's part in copying the tiles of one operand.
template <class Operand, int lines, int block_k, int pad, int threads>
struct Copier {
    static constexpr int inner = Operand::k_is_inner ? block_k : lines;
    static constexpr int copies = lines * block_k / threads, apart = threads / inner;
    static_assert(threads % inner == 0 && copies * threads == lines * block_k, "copies take whole rows");

    Buffers<Operand, lines, block_k, pad>& buffers;
    Operand operand;
    int first, count, k_end;  // the tile's first line, how many lines there are, and the end of k
    typename Operand::Offset my_line;

    __device__ Copier(Buffers<Operand, lines, block_k, pad>& buffers_, Operand operand_, int first_, int count_,
                      int k_end_)
        : buffers(buffers_), operand(operand_), first(first_), count(count_), k_end(k_end_) {
        my_line = operand.line(min(first + static_cast<int>(threadIdx.x) % lines, count - 1));
        if (Operand::k_is_inner && threadIdx.x < lines) buffers.line[threadIdx.x] = my_line;
    }

    // What is to be looked up for the tile that begins at k0; seen after a barrier.
    __device__ void look_ahead(int stage, int k0) {
        int k = k0 + static_cast<int>(threadIdx.x);
        if (Operand::k_is_inner || threadIdx.x >= block_k || k >= k_end) return;
        buffers.step[stage][threadIdx.x] = operand.step(k);
    }

    __device__ void begin(int stage, int k0) {
        const int mine = threadIdx.x % inner, outer = threadIdx.x / inner;
        typename Operand::Offset my_step = {};
        if (Operand::k_is_inner && k0 + mine < k_end) my_step = operand.step(k0 + mine);
#pragma unroll 2  // all at once would take registers enough to spill
        for (int c = 0; c < copies; c++) {
            const int i = Operand::k_is_inner ? outer + c * apart : mine;
            const int k = Operand::k_is_inner ? mine : outer + c * apart;
            const REAL* from = nullptr;
            if (first + i < count && k0 + k < k_end)
                from = Operand::k_is_inner ? operand.find(buffers.line[i], my_step)
                                           : operand.find(my_line, buffers.step[stage][k]);
            copy_async(&buffers.tile[stage][k][i], from ? from : operand.data, from != nullptr);
        }
    }
};

// Calls compute(stage) for each tile of k, when the tile is in the buffers of that stage.
template <int block_k, class CopierA, class CopierB, class Compute>
__device__ __forceinline__ void pipeline(CopierA& a, CopierB& b, int k_begin, int k_end, Compute compute) {
    if (k_begin >= k_end) return;
    for (int stage = 0; stage < 2; stage++) {
        a.look_ahead(stage, k_begin + stage * block_k);
        b.look_ahead(stage, k_begin + stage * block_k);
    }
    __syncthreads();
    a.begin(0, k_begin);
    b.begin(0, k_begin);
    copies_commit();
    int stage = 0;
    for (int k0 = k_begin; k0 < k_end; k0 += block_k, stage ^= 1) {
        copies_wait<0>();
        __syncthreads();
        if (k0 + block_k < k_end) {
            a.begin(stage ^ 1, k0 + block_k);
            b.begin(stage ^ 1, k0 + block_k);
            copies_commit();
            a.look_ahead(stage, k0 + 2 * block_k);
            b.look_ahead(stage, k0 + 2 * block_k);
        }
        compute(stage);
    }
}

// ---------------------------------------------------------------- v4

// As GemmRegisters, with the pipeline, and with loads from shared memory that are 16 bytes wide. The 32 threads
// of a warp stand 4 x 8 over C, each with thread_m / 4 times thread_n / 4 squares of 4 x 4 elements, so that
// what a warp loads at once lies side by side: 16 values of A, 32 of B.
template <int block_m, int block_n, int thread_m, int thread_n>
struct GemmPipelined {
    static constexpr int block_k = 8, pad = 4;  // with these, copies along k meet each bank once
    static constexpr int warp_m = 4 * thread_m, warp_n = 8 * thread_n;
    static constexpr int threads = 32 * (block_m / warp_m) * (block_n / warp_n);
    static constexpr int squares_m = thread_m / 4, squares_n = thread_n / 4;

    template <class A, class B>
    using Tiles = BufferPair<A, B, block_m, block_n, block_k, pad>;

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles<A, B>& tiles, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        const int i0 = blockIdx.y * block_m, j0 = blockIdx.x * block_n;
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        const int my_i = warp / (block_n / warp_n) * warp_m + lane / 8 * 4;
        const int my_j = warp % (block_n / warp_n) * warp_n + lane % 8 * 4;
        REAL sum[thread_m][thread_n] = {};

        Copier<A, block_m, block_k, pad, threads> copy_a(tiles.a, a, i0, m, k_end);
        Copier<B, block_n, block_k, pad, threads> copy_b(tiles.b, b, j0, n, k_end);
        pipeline<block_k>(copy_a, copy_b, k_begin, k_end, [&](int stage) {
#pragma unroll
            for (int k = 0; k < block_k; k++) {
                REAL a_part[squares_m][4], b_part[squares_n][4];
#pragma unroll
                for (int s = 0; s < squares_m; s++) load_four(a_part[s], &tiles.a.tile[stage][k][my_i + s * 16]);
#pragma unroll
                for (int s = 0; s < squares_n; s++) load_four(b_part[s], &tiles.b.tile[stage][k][my_j + s * 32]);
#pragma unroll
                for (int i = 0; i < thread_m; i++)
#pragma unroll
                    for (int j = 0; j < thread_n; j++) sum[i][j] += a_part[i / 4][i % 4] * b_part[j / 4][j % 4];
            }
        });

#pragma unroll
        for (int r = 0; r < thread_m; r++) {
            const int i = i0 + my_i + r / 4 * 16 + r % 4;
            if (i >= m) break;  // a guard for each element would take registers enough to spill
#pragma unroll
            for (int q = 0; q < thread_n; q++) {
                const int j = j0 + my_j + q / 4 * 32 + q % 4;
                if (j < n) store(i, j, sum[r][q]);
            }
        }
    }
};
