// C = A B for square matrices of n x n floats.
#define T 8

extern "C" __global__ void matmul_tiled(const float* a, const float* b, float* c, int n) {
    __shared__ float as[T][T], bs[T][T];
    int tx = threadIdx.x, ty = threadIdx.y;
    int row = blockIdx.y * T + ty, col = blockIdx.x * T + tx;
    float sum = 0;
    for (int k0 = 0; k0 < n; k0 += T) {
        as[ty][tx] = row < n && k0 + tx < n ? a[row * n + k0 + tx] : 0.0f;  // fault: MISSING_SECOND_BARRIER
        bs[ty][tx] = k0 + ty < n && col < n ? b[(k0 + ty) * n + col] : 0.0f;
#ifndef MISSING_BARRIER
        __syncthreads();
#endif
#ifdef OFF_BY_ONE
        for (int k = 0; k <= T; k++)
#else
        for (int k = 0; k < T; k++)
#endif
            sum += as[ty][k] * bs[k][tx];  // fault: MISSING_BARRIER OFF_BY_ONE
#ifndef MISSING_SECOND_BARRIER
        __syncthreads();
#endif
    }
#ifndef MISSING_GUARD
    if (row < n && col < n)
#endif
        c[row * n + col] = sum;  // fault: MISSING_GUARD
}

// Each thread computes 2 x 2 elements of a tile of 16 x 16; n is a multiple of 16.
#define BM 16
#define BK 8
extern "C" __global__ void matmul_register(const float* __restrict__ a, const float* __restrict__ b,
                                           float* __restrict__ c, int n) {
    __shared__ float as[BK * BM];
    __shared__ float bs[BK * BM];
    const int tid = threadIdx.x, tx = tid % 8, ty = tid / 8;
    const float* a_tile = a + blockIdx.y * BM * n;
    const float* b_tile = b + blockIdx.x * BM;
    float acc[2][2] = {};
    for (int k0 = 0; k0 < n; k0 += BK) {
        for (int i = tid; i < BM * BK; i += 64) {
            int m = i / BK, k = i % BK;
#ifdef WRONG_INDEX
            as[k * BM + m / 2] = a_tile[m * n + k0 + k];  // fault: WRONG_INDEX
#else
            as[k * BM + m] = a_tile[m * n + k0 + k];  // fault: MISSING_SECOND_BARRIER
#endif
            bs[i] = b_tile[(k0 + i / BM) * n + i % BM];
        }
#ifndef MISSING_BARRIER
        __syncthreads();
#endif
        for (int k = 0; k < BK; k++)
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++)
                    acc[i][j] += as[k * BM + ty * 2 + i] * bs[k * BM + tx * 2 + j];  // fault: MISSING_BARRIER
#ifndef MISSING_SECOND_BARRIER
        __syncthreads();
#endif
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            int row = blockIdx.y * BM + ty * 2 + i, col = blockIdx.x * BM + tx * 2 + j;
            c[row * n + col] = acc[i][j];
        }
}

// Both tiles lie in one dynamic array; n is a multiple of TILE.
template <int TILE>
__global__ void matmul_dynamic(const float* a, const float* b, float* c, int n) {
    extern __shared__ float smem[];
    float *as = smem, *bs = smem + TILE * TILE;
    int t = threadIdx.y * TILE + threadIdx.x;
    int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.f;
    for (int step = 0; step < n / TILE; ++step) {
        if (step) __syncthreads();
        as[t] = a[row * n + step * TILE + threadIdx.x];
#ifdef OFF_BY_ONE
        bs[t + 1] = b[(step * TILE + threadIdx.y) * n + col];  // fault: OFF_BY_ONE
#else
        bs[t] = b[(step * TILE + threadIdx.y) * n + col];
#endif
#ifdef CONDITIONAL_BARRIER
        if (threadIdx.y < TILE / 2) __syncthreads();  // fault: CONDITIONAL_BARRIER
#else
        __syncthreads();
#endif
#pragma unroll
        for (int k = 0; k < TILE; ++k) sum += as[threadIdx.y * TILE + k] * bs[k * TILE + threadIdx.x];
    }
    c[row * n + col] = sum;
}
