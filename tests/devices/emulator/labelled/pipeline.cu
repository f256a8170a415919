// Tile loops that fetch the next tile while they work on this one.
#include <cuda_pipeline.h>

#define W 32

// Dot products of rows with a vector, tiles fetched by asynchronous copies into two buffers.
extern "C" __global__ void dot_async(const float* a, const float* x, float* out, int n) {
    __shared__ __align__(16) float tile[2][W][W];
    int t = threadIdx.x, tiles = n / W;
    const float* rows = a + blockIdx.x * W * n;
    auto fetch = [&](int k) {
        for (int i = t; i < W * W / 4; i += W) {
            int row = i / 8, col = i % 8 * 4;
            __pipeline_memcpy_async(&tile[k % 2][row][col], &rows[row * n + k * W + col], 16);  // fault: MISSING_BARRIER
        }
        __pipeline_commit();
    };
    fetch(0);
    float sum = 0;
    for (int k = 0; k < tiles; k++) {
        if (k + 1 < tiles) fetch(k + 1);
#ifdef MISSING_WAIT
        if (k == 0) __pipeline_wait_prior(1);
#elif defined(WAIT_TOO_FEW)
        __pipeline_wait_prior(1);  // in the last round nothing later is under way
#else
        __pipeline_wait_prior(k + 1 < tiles ? 1 : 0);
#endif
        __syncthreads();
        for (int j = 0; j < W; j++) sum += tile[k % 2][t][j] * x[k * W + j];  // fault: MISSING_WAIT WAIT_TOO_FEW
#ifndef MISSING_BARRIER
        __syncthreads();
#endif
    }
    out[blockIdx.x * W + t] = sum;
}

// The same by way of registers; one barrier a round is enough with two buffers.
extern "C" __global__ void moving_maximum(const int* in, int* out, int n) {
    __shared__ int buffer[2][64];
    int t = threadIdx.x, before = INT32_MIN;
    int next = in[t];
    for (int k = 0; k < n / 64; k++) {
#ifdef ONE_BUFFER
        int* now = buffer[0];
#else
        int* now = buffer[k & 1];
#endif
        now[t] = next;  // fault: ONE_BUFFER
#ifdef OFF_BY_ONE
        next = in[(k + 1) * 64 + t];  // fault: OFF_BY_ONE
#else
        if (k + 1 < n / 64) next = in[(k + 1) * 64 + t];
#endif
#ifdef MISSING_BARRIER
        if (k % 2) __syncthreads();
#else
        __syncthreads();
#endif
        int m = max(before, max(now[t], now[63 - t]));  // fault: MISSING_BARRIER
        out[k * 64 + t] = before = m;
    }
}
