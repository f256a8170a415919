// Softmax and normalisation of rows.
#define ALL 0xffffffff

// One block per row; one shared array serves for the maximum and then for the sum.
extern "C" __global__ void softmax_block(const float* x, float* y, int cols) {
    __shared__ float s[64];
    const float* row = x + blockIdx.x * cols;
    int t = threadIdx.x;
    float m = -INFINITY;
    for (int j = t; j < cols; j += 64) m = fmaxf(m, row[j]);
    s[t] = m;
    __syncthreads();
    for (int d = 32; d > 0; d >>= 1) {
        if (t < d) s[t] = fmaxf(s[t], s[t + d]);
        __syncthreads();
    }
    m = s[0];  // fault: REUSED_TOO_SOON
#ifndef REUSED_TOO_SOON
    __syncthreads();
#endif
    float sum = 0;
    for (int j = t; j < cols; j += 64) sum += expf(row[j] - m);
    s[t] = sum;  // fault: REUSED_TOO_SOON
    __syncthreads();
    for (int d = 32; d > 0; d >>= 1) {
#ifdef OFF_BY_ONE
        if (t <= d) s[t] += s[t + d];  // fault: OFF_BY_ONE
#else
        if (t < d) s[t] += s[t + d];
#endif
        __syncthreads();
    }
    for (int j = t; j < cols; j += 64) y[blockIdx.x * cols + j] = expf(row[j] - m) / s[0];
}

// One warp per row, by butterflies.
extern "C" __global__ void normalise_warp(const float* x, float* y, int rows, int cols) {
    int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
#ifndef MISSING_GUARD
    if (warp >= rows) return;
#endif
    float sum = 0, squares = 0;
    for (int j = lane; j < cols; j += 32) {
        float v = x[warp * cols + j];  // fault: MISSING_GUARD
        sum += v;
        squares += v * v;
    }
    for (int d = 1; d < 32; d *= 2) {
        sum += __shfl_xor_sync(ALL, sum, d);
#ifdef WRONG_MASK
        squares += __shfl_xor_sync(0x7fffffff, squares, d);  // fault: WRONG_MASK
#else
        squares += __shfl_xor_sync(ALL, squares, d);
#endif
    }
    float mean = sum / cols, scale = rsqrtf(squares / cols - mean * mean + 1e-5f);
    for (int j = lane; j < cols; j += 32) y[warp * cols + j] = (x[warp * cols + j] - mean) * scale;
}

struct Statistics {
    float mean, m2;
    int count;
};

// Mean and variance of each row: pairs of statistics merged in shared memory by tiles of 16 lanes.
extern "C" __global__ void statistics_tiles(const float* x, float* mean, float* variance, int rows, int cols) {
    __shared__ Statistics s[64];
    int t = threadIdx.x, lane = t % 16, row = blockIdx.x * 4 + t / 16;
    unsigned tile = 0xffffu << (t & 16);
    if (row >= rows) return;
    Statistics mine = {0, 0, 0};
    for (int j = lane; j < cols; j += 16) {
        float d = x[row * cols + j] - mine.mean;
        mine.mean += d / ++mine.count;
        mine.m2 += d * (x[row * cols + j] - mine.mean);
    }
    s[t] = mine;
    for (int d = 8; d; d /= 2) {
#ifndef MISSING_SYNCWARP
        __syncwarp(tile);
#endif
        if (lane < d && s[t + d].count) {  // fault: MISSING_SYNCWARP
            Statistics a = s[t], b = s[t + d];
            float delta = b.mean - a.mean;
            int count = a.count + b.count;
            s[t] = {a.mean + delta * b.count / count,
                    a.m2 + b.m2 + delta * delta * a.count * b.count / count, count};
        }
    }
#ifdef RACING_STORE
    mean[row] = s[t - lane].mean;  // fault: RACING_STORE
#else
    if (lane == 0) mean[row] = s[t].mean;
#endif
    if (lane == 0) variance[row] = s[t].m2 / cols;
}
