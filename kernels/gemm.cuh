// C = A B, one tile of C for each block: the ways of doing it that matmul.cu and conv2d.cu share.
//
// What A, B and C are is told by three small objects, so that a convolution is the same loop as a matrix product
// (an implicit GEMM): its matrices exist only as rules for where an element lies. A and B have lines: the rows
// of A, the columns of B. Element k of a line is found in two steps, of which each can be made once and kept:
//
//     Offset line(int i)                   what is worth computing once for line i
//     Offset step(int k)                   and once for k
//     const REAL* find(line, step)         where the element lies; null for a zero that lies nowhere
//     store(i, j, sum)                     what becomes of an element of C
//
// k_is_inner says along which index neighbouring elements are neighbours in memory, so that neighbouring
// threads load neighbouring addresses.
//
// Each way is a structure: run() computes the tile with so many `threads`, and Tiles is the shared memory that it
// needs. The kernel declares that memory, once, because each instance of a template would take its own.
//
//     v1  GemmNaive      here
//     v2  GemmShared     here
//     v3  GemmRegisters  here
//     v4  GemmPipelined  pipeline.cuh
//     v5  GemmTf32       tensor_cores.cuh
#pragma once

#include "common.cuh"

// For a kernel of so many threads: two of its blocks are to fit on a multiprocessor, so that one computes while the
// other waits. Doubles take twice the registers, and are there to verify, not to be fast.
#define GEMM_KERNEL(threads) __launch_bounds__(threads, sizeof(REAL) == 4 ? 2 : 1)

__device__ __forceinline__ REAL value_at(const REAL* place) { return place ? *place : REAL(0); }

// ---------------------------------------------------------------- one thread, one element of C

// Every element of A and B is read from global memory as often as it is used: M N K times 2.
struct GemmNaive {
    static constexpr int threads = 256;

    template <class A, class B>
    struct Tiles {};

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles<A, B>&, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        int j = blockIdx.x * blockDim.x + threadIdx.x;
        int i = blockIdx.y * blockDim.y + threadIdx.y;
        if (i >= m || j >= n) return;
        auto row = a.line(i);
        auto column = b.line(j);
        REAL sum = 0;
        for (int k = k_begin; k < k_end; k++)
            sum += value_at(a.find(row, a.step(k))) * value_at(b.find(column, b.step(k)));
        store(i, j, sum);
    }
};

// ---------------------------------------------------------------- shared memory

// A block of tile x tile threads loads tiles of A and B into shared memory together, and each thread
// computes one element from them: an element is read from global memory `tile` times less often.
template <int tile>
struct GemmShared {
    static constexpr int threads = tile * tile;

    template <class A, class B>
    struct Tiles {
        REAL a[tile][tile + 1];  // one more, so that a column lies in different banks
        REAL b[tile][tile + 1];
    };

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles<A, B>& tiles, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        const int x = threadIdx.x, y = threadIdx.y;
        const int i0 = blockIdx.y * tile, j0 = blockIdx.x * tile;
        // Where this thread loads from: along k or across it, whichever lies in memory that way.
        const int a_i = A::k_is_inner ? y : x, a_k = A::k_is_inner ? x : y;
        const int b_j = B::k_is_inner ? y : x, b_k = B::k_is_inner ? x : y;
        const bool a_inside = i0 + a_i < m, b_inside = j0 + b_j < n;
        auto row = a.line(a_inside ? i0 + a_i : 0);
        auto column = b.line(b_inside ? j0 + b_j : 0);
        REAL sum = 0;
        for (int k0 = k_begin; k0 < k_end; k0 += tile) {
            bool a_there = a_inside && k0 + a_k < k_end, b_there = b_inside && k0 + b_k < k_end;
            tiles.a[a_i][a_k] = a_there ? value_at(a.find(row, a.step(k0 + a_k))) : REAL(0);
            tiles.b[b_k][b_j] = b_there ? value_at(b.find(column, b.step(k0 + b_k))) : REAL(0);
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
    static constexpr int threads_n = block_n / thread_n, threads = threads_n * (block_m / thread_m);

    template <class A, class B>
    struct Tiles {
        REAL a[block_k][block_m + 4];  // four more, so that lines of one k begin in different banks
        REAL b[block_k][block_n + 4];
    };

    template <class A, class B, class Store>
    static __device__ __forceinline__ void run(Tiles<A, B>& tiles, int m, int n, int k_begin, int k_end, A a, B b,
                                               Store store) {
        const int t = threadIdx.x;
        const int i0 = blockIdx.y * block_m, j0 = blockIdx.x * block_n;
        const int my_i = t / threads_n * thread_m, my_j = t % threads_n * thread_n;
        REAL sum[thread_m][thread_n] = {};

        for (int k0 = k_begin; k0 < k_end; k0 += block_k) {
            load(tiles.a, a, i0, m, k0, k_end);
            load(tiles.b, b, j0, n, k0, k_end);
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

    // All threads together bring a tile of an operand's lines: some rows of it at a time, until all is there.
    template <int row, class Operand>
    static __device__ __forceinline__ void load(REAL (&tile)[block_k][row], const Operand& operand, int first,
                                                int count, int k0, int k_end) {
        constexpr int lines = row - 4, inner = Operand::k_is_inner ? block_k : lines;
        static_assert(threads % inner == 0, "a load takes whole rows of the tile");
        const int mine = threadIdx.x % inner;
        for (int outer = threadIdx.x / inner; outer < lines * block_k / inner; outer += threads / inner) {
            int i = Operand::k_is_inner ? outer : mine, k = Operand::k_is_inner ? mine : outer;
            bool inside = first + i < count && k0 + k < k_end;
            tile[k][i] = inside ? value_at(operand.find(operand.line(first + i), operand.step(k0 + k))) : REAL(0);
        }
    }
};
