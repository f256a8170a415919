// C = A B, one tile of C for each block: the two ways of doing it that matmul.cu and conv2d.cu share.
//
// What A, B and C are is told by three small objects, so that a convolution is the same loop as a matrix product
// (an implicit GEMM): its matrices exist only as rules for where an element lies.
//
//     A: Row    = a.row(i)      what is worth computing once for row i        a.load(row, k)     element (i, k)
//     B: Column = b.column(j)   and once for column j                         b.load(column, k)  element (k, j)
//     Store: store(i, j, sum)
//
// k_is_inner says along which index neighbouring elements are neighbours in memory, so that neighbouring
// threads load neighbouring addresses.
//
// Each way is a structure: run() computes the tile, and Tiles is the shared memory that it needs. The kernel
// declares that memory, once, because each instance of a template would take its own.
#pragma once

#include "common.cuh"

// ---------------------------------------------------------------- one thread, one element of C

// Every element of A and B is read from global memory as often as it is used: M N K times 2.
struct GemmNaive {
    struct Tiles {};

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles&, int m, int n, int k_begin, int k_end, A a, B b, Store store) {
        int j = blockIdx.x * blockDim.x + threadIdx.x;
        int i = blockIdx.y * blockDim.y + threadIdx.y;
        if (i >= m || j >= n) return;
        auto row = a.row(i);
        auto column = b.column(j);
        REAL sum = 0;
        for (int k = k_begin; k < k_end; k++) sum += a.load(row, k) * b.load(column, k);
        store(i, j, sum);
    }
};

// ---------------------------------------------------------------- shared memory

// A block of tile x tile threads loads tiles of A and B into shared memory together, and each thread
// computes one element from them: an element is read from global memory `tile` times less often.
template <int tile>
struct GemmShared {
    struct Tiles {
        REAL a[tile][tile + 1];  // one more, so that a column lies in different banks
        REAL b[tile][tile + 1];
    };

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles& tiles, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        const int x = threadIdx.x, y = threadIdx.y;
        const int i0 = blockIdx.y * tile, j0 = blockIdx.x * tile;
        // Where this thread loads from: along k or across it, whichever lies in memory that way.
        const int a_i = A::k_is_inner ? y : x, a_k = A::k_is_inner ? x : y;
        const int b_j = B::k_is_inner ? y : x, b_k = B::k_is_inner ? x : y;
        const bool a_inside = i0 + a_i < m, b_inside = j0 + b_j < n;
        auto row = a.row(a_inside ? i0 + a_i : 0);
        auto column = b.column(b_inside ? j0 + b_j : 0);
        REAL sum = 0;
        for (int k0 = k_begin; k0 < k_end; k0 += tile) {
            tiles.a[a_i][a_k] = a_inside && k0 + a_k < k_end ? a.load(row, k0 + a_k) : REAL(0);
            tiles.b[b_k][b_j] = b_inside && k0 + b_k < k_end ? b.load(column, k0 + b_k) : REAL(0);
            __syncthreads();
            for (int k = 0; k < tile; k++) sum += tiles.a[y][k] * tiles.b[k][x];
            __syncthreads();  // before the tiles are overwritten
        }
        if (i0 + y < m && j0 + x < n) store(i0 + y, j0 + x, sum);
    }
};

// ---------------------------------------------------------------- registers

// Each thread computes thread_m x thread_n elements, in registers: of each value that it reads from shared
// memory it makes several products, where before it made one.
template <int block_m, int block_n, int block_k, int thread_m, int thread_n>
struct GemmRegisters {
    struct Tiles {  // rows are four longer, to begin in different banks and yet at multiples of 16 bytes
        REAL a[block_k][block_m + 4];
        REAL b[block_k][block_n + 4];
    };

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles& tiles, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        constexpr int threads_n = block_n / thread_n, threads = threads_n * (block_m / thread_m);
        // How the threads are laid over a tile to load it: some rows of it at a time, until all is there.
        constexpr int a_inner = A::k_is_inner ? block_k : block_m, b_inner = B::k_is_inner ? block_k : block_n;
        static_assert(threads % a_inner == 0 && threads % b_inner == 0, "a load takes whole rows of the tile");
        constexpr int a_step = threads / a_inner, b_step = threads / b_inner;

        const int t = threadIdx.x;
        const int i0 = blockIdx.y * block_m, j0 = blockIdx.x * block_n;
        const int my_i = t / threads_n * thread_m, my_j = t % threads_n * thread_n;
        REAL sum[thread_m][thread_n] = {};

        for (int k0 = k_begin; k0 < k_end; k0 += block_k) {
            for (int outer = t / a_inner; outer < block_k * block_m / a_inner; outer += a_step) {
                int i = A::k_is_inner ? outer : t % a_inner, k = A::k_is_inner ? t % a_inner : outer;
                bool inside = i0 + i < m && k0 + k < k_end;
                tiles.a[k][i] = inside ? a.load(a.row(i0 + i), k0 + k) : REAL(0);
            }
            for (int outer = t / b_inner; outer < block_k * block_n / b_inner; outer += b_step) {
                int j = B::k_is_inner ? outer : t % b_inner, k = B::k_is_inner ? t % b_inner : outer;
                bool inside = j0 + j < n && k0 + k < k_end;
                tiles.b[k][j] = inside ? b.load(b.column(j0 + j), k0 + k) : REAL(0);
            }
            __syncthreads();
#pragma unroll
            for (int k = 0; k < block_k; k++) {
                REAL a_part[thread_m], b_part[thread_n];
#pragma unroll
                for (int i = 0; i < thread_m; i++) a_part[i] = tiles.a[k][my_i + i];
#pragma unroll
                for (int j = 0; j < thread_n; j++) b_part[j] = tiles.b[k][my_j + j];
#pragma unroll
                for (int i = 0; i < thread_m; i++)
#pragma unroll
                    for (int j = 0; j < thread_n; j++) sum[i][j] += a_part[i] * b_part[j];
            }
            __syncthreads();  // before the tiles are overwritten
        }

#pragma unroll
        for (int i = 0; i < thread_m; i++)
#pragma unroll
            for (int j = 0; j < thread_n; j++)
                if (i0 + my_i + i < m && j0 + my_j + j < n) store(i0 + my_i + i, j0 + my_j + j, sum[i][j]);
    }
};
