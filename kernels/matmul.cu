// Matrix product C = A B (+ bias), for a stack of matrices at once.
//
//     c[i, j] = bias[j] + sum over k of a[i, k] b[k, j]
//
// A and B have any strides, so a transposed matrix is no other case; C is contiguous. Matrices of a stack
// are blockIdx.z; one that is shared by all has stride 0.
//
//     v1_naive      a thread for each element of C
//     v2_shared     tiles in shared memory
//     v3_registers  several elements of C for each thread
#include "gemm.cuh"

struct Gemm {
    int m, n, k;
    int a_row, a_column, b_row, b_column;  // strides, in elements
    int a_matrix, b_matrix;                // from one matrix of the stack to the next
};

// Rows of A: the stride along k is 1 where k_inner.
template <bool k_inner>
struct RowsOf {
    static constexpr bool k_is_inner = k_inner;
    const REAL* data;
    int row_stride, k_stride;

    __device__ const REAL* row(int i) const { return data + i * row_stride; }
    __device__ REAL load(const REAL* row, int k) const { return row[k * k_stride]; }
};

template <bool k_inner>
struct ColumnsOf {
    static constexpr bool k_is_inner = k_inner;
    const REAL* data;
    int column_stride, k_stride;

    __device__ const REAL* column(int j) const { return data + j * column_stride; }
    __device__ REAL load(const REAL* column, int k) const { return column[k * k_stride]; }
};

struct StoreWithBias {
    REAL* c;
    const REAL* bias;
    int n;

    __device__ void operator()(int i, int j, REAL sum) const { c[i * n + j] = bias ? sum + bias[j] : sum; }
};

// In which of four ways the matrices lie decides how threads load them.
template <class Algorithm, bool a_k_inner, bool b_k_inner>
__device__ __forceinline__ void matmul(typename Algorithm::Tiles& tiles, const REAL* a, const REAL* b,
                                       const REAL* bias, REAL* c, const Gemm& g) {
    RowsOf<a_k_inner> rows = {a + blockIdx.z * g.a_matrix, g.a_row, g.a_column};
    ColumnsOf<b_k_inner> columns = {b + blockIdx.z * g.b_matrix, g.b_column, g.b_row};
    StoreWithBias store = {c + blockIdx.z * g.m * g.n, bias, g.n};
    Algorithm::run(tiles, g.m, g.n, 0, g.k, rows, columns, store);
}

#define MATMUL(name, ...) \
    extern "C" __global__ void name(const REAL* a, const REAL* b, const REAL* bias, REAL* c, Gemm g) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles tiles; \
        bool a_k_inner = g.a_column == 1, b_k_inner = g.b_row == 1; \
        if (a_k_inner && b_k_inner) matmul<Algorithm, true, true>(tiles, a, b, bias, c, g); \
        else if (a_k_inner) matmul<Algorithm, true, false>(tiles, a, b, bias, c, g); \
        else if (b_k_inner) matmul<Algorithm, false, true>(tiles, a, b, bias, c, g); \
        else matmul<Algorithm, false, false>(tiles, a, b, bias, c, g); \
    }

MATMUL(matmul_v1, GemmNaive)
MATMUL(matmul_v2, GemmShared<16>)
MATMUL(matmul_v3, GemmRegisters<64, 64, 16, 4, 4>)
