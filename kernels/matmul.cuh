// Matrix product C = A B (+ bias), for a stack of matrices at once.
//
//     c[i, j] = bias[j] + sum over k of a[i, k] b[k, j]
//
// A and B have any strides, so a transposed matrix is no other case; C is contiguous. Matrices of a stack
// are blockIdx.z; one that is shared by all has stride 0. The versions are in matmul.cu and matmul_tf32.cu.
#pragma once

#include "gemm.cuh"

struct Gemm {
    int m, n, k;
    int a_row, a_column, b_row, b_column;  // strides, in elements
    int a_matrix, b_matrix;                // from one matrix of the stack to the next
};

// The rows of A, or the columns of B: the stride along k is 1 where k_inner.
template <bool k_inner>
struct LinesOf {
    static constexpr bool k_is_inner = k_inner;
    using Offset = int;
    const REAL* data;
    int line_stride, k_stride;

    __device__ int line(int i) const { return i * line_stride; }
    __device__ int step(int k) const { return k * k_stride; }
    __device__ const REAL* find(int line, int step) const { return data + (line + step); }
};

struct StoreWithBias {
    REAL* c;
    const REAL* bias;
    int n;

    __device__ void operator()(int i, int j, REAL sum) const { c[i * n + j] = bias ? sum + bias[j] : sum; }
};

// In which of four ways the matrices lie decides how threads load them.
template <class Algorithm, bool a_k_inner, bool b_k_inner, class Tiles>
__device__ __forceinline__ void matmul(Tiles& tiles, const REAL* a, const REAL* b, const REAL* bias, REAL* c,
                                       const Gemm& g) {
    using A = LinesOf<a_k_inner>;
    using B = LinesOf<b_k_inner>;
    A rows = {a + blockIdx.z * g.a_matrix, g.a_row, g.a_column};
    B columns = {b + blockIdx.z * g.b_matrix, g.b_column, g.b_row};
    StoreWithBias store = {c + blockIdx.z * g.m * g.n, bias, g.n};
    // The tiles of all four ways are the same in memory.
    auto& own = reinterpret_cast<typename Algorithm::template Tiles<A, B>&>(tiles);
    Algorithm::run(own, g.m, g.n, 0, g.k, rows, columns, store);
}

#define MATMUL(name, ...) \
    extern "C" __global__ void GEMM_KERNEL((__VA_ARGS__::threads)) \
    name(const REAL* a, const REAL* b, const REAL* bias, REAL* c, Gemm g) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles<LinesOf<true>, LinesOf<true>> tiles; \
        bool a_k_inner = g.a_column == 1, b_k_inner = g.b_row == 1; \
        if (a_k_inner && b_k_inner) matmul<Algorithm, true, true>(tiles, a, b, bias, c, g); \
        else if (a_k_inner) matmul<Algorithm, true, false>(tiles, a, b, bias, c, g); \
        else if (b_k_inner) matmul<Algorithm, false, true>(tiles, a, b, bias, c, g); \
        else matmul<Algorithm, false, false>(tiles, a, b, bias, c, g); \
    }
