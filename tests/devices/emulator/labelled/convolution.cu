// Filters over images: zeros outside, one tile of the output per block.
#include <cuda_pipeline.h>

#define TILE 8
#define K 3
__constant__ float blur[K * K] = {1, 2, 1, 2, 4, 2, 1, 2, 1};

extern "C" __global__ void blur_tile(const float* image, float* out, int h, int w) {
    __shared__ float tile[TILE + K - 1][TILE + K - 1];
    int x0 = blockIdx.x * TILE - 1, y0 = blockIdx.y * TILE - 1;
    for (int i = threadIdx.y; i < TILE + K - 1; i += TILE)
        for (int j = threadIdx.x; j < TILE + K - 1; j += TILE) {
            int y = y0 + i, x = x0 + j;
#ifdef NEGATIVE_INDEX
            bool inside = x < w && y < h;
#else
            bool inside = x >= 0 && x < w && y >= 0 && y < h;
#endif
            tile[i][j] = inside ? image[y * w + x] : 0;  // fault: NEGATIVE_INDEX MISSING_BARRIER
        }
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
#ifdef CONDITIONAL_BARRIER
    if (x >= w || y >= h) return;
    __syncthreads();  // fault: CONDITIONAL_BARRIER
#else
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (x >= w || y >= h) return;
#endif
    float sum = 0;
    for (int i = 0; i < K; i++)
#ifdef ROW_OVERRUN
        for (int j = 0; j <= K; j++)
#else
        for (int j = 0; j < K; j++)
#endif
            sum += blur[i * K + j % K] * tile[threadIdx.y + i][threadIdx.x + j];  // fault: ROW_OVERRUN
    out[y * w + x] = sum / 16;
}

// A filter of 5 along each row, the row's piece copied asynchronously.
extern "C" __global__ void blur_row_async(const float* image, float* out, int w) {
    __shared__ float line[32 + 4];
    int t = threadIdx.x, x = blockIdx.x * 32 + t;
    const float* row = image + blockIdx.y * w;
    for (int i = t; i < 36; i += 32) {
        int from = blockIdx.x * 32 + i - 2;
        if (from >= 0 && from < w) __pipeline_memcpy_async(&line[i], &row[from], sizeof(float));
        else line[i] = 0;
    }
    __pipeline_commit();
#ifndef MISSING_WAIT
    __pipeline_wait_prior(0);
#endif
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    float sum = 0;
    for (int k = 0; k < 5; k++) sum += line[t + k];  // fault: MISSING_WAIT MISSING_BARRIER
#ifdef MISSING_GUARD
    out[blockIdx.y * w + x] = sum / 5;  // fault: MISSING_GUARD
#else
    if (x < w) out[blockIdx.y * w + x] = sum / 5;
#endif
}

// The gradient of the filter's weights: every block adds its share.
extern "C" __global__ void weight_gradient(const float* image, const float* g, float* dw, int h, int w) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x >= w) return;
    for (int i = -1; i <= 1; i++)
        for (int j = -1; j <= 1; j++) {
            int v = y + i, u = x + j;
            if (v < 0 || v >= h || u < 0 || u >= w) continue;
            float share = image[v * w + u] * g[y * w + x];
#ifdef MISSING_ATOMIC
            dw[(i + 1) * 3 + j + 1] += share;  // fault: MISSING_ATOMIC
#else
            atomicAdd(&dw[(i + 1) * 3 + j + 1], share);
#endif
        }
#ifdef CONST_WRITE
    if (x == 0) ((float*)image)[y * w] = 0;  // fault: CONST_WRITE
#endif
}
