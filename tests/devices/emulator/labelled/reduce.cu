// Sums and maxima.
#define FULL 0xffffffffu

extern "C" __global__ void sum_tree(const float* x, float* total, int n) {
    __shared__ float part[128];
    unsigned t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
#ifdef CONDITIONAL_BARRIER
        if (t < half) {
            part[t] += part[t + half];
            __syncthreads();  // fault: CONDITIONAL_BARRIER
        }
#else
        if (t < half) part[t] += part[t + half];  // fault: MISSING_BARRIER LAST_BARRIER
#ifdef LAST_BARRIER
        if (half > 1) __syncwarp();  // taken for enough below 32
        if (half > 64) __syncthreads();
#elif !defined(MISSING_BARRIER)
        __syncthreads();
#endif
#endif
    }
#ifdef MISSING_ATOMIC
    if (t == 0) *total += part[0];  // fault: MISSING_ATOMIC
#else
    if (t == 0) atomicAdd(total, part[0]);
#endif
}

__device__ float warp_sum(float v) {
#ifdef WRONG_MASK
    for (int d = 16; d; d >>= 1) v += __shfl_down_sync(0xffff, v, d);  // fault: WRONG_MASK
#else
    for (int d = 16; d; d >>= 1) v += __shfl_down_sync(FULL, v, d);  // fault: DIVERGENT
#endif
    return v;
}

extern "C" __global__ void sum_shuffle(const float* x, float* out, int n) {
    __shared__ float warps[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    float v = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += x[i];
#ifdef DIVERGENT
    if (lane < 20) v = warp_sum(v);
#else
    v = warp_sum(v);
#endif
    if (lane == 0) warps[warp] = v;
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (warp == 0) {
#ifdef UNINITIALISED
        v = warps[lane];  // fault: UNINITIALISED
#else
        v = lane < blockDim.x / 32 ? warps[lane] : 0.f;  // fault: MISSING_BARRIER
#endif
        v = warp_sum(v);
        if (lane == 0) out[blockIdx.x] = v;
    }
}

// A warp for each row of 64, its lanes exchanging by shared memory.
extern "C" __global__ void sum_rows(const int* x, int* sums, int rows) {
    __shared__ volatile int s[4][32];
    int lane = threadIdx.x, w = threadIdx.y, row = blockIdx.x * 4 + w;
    if (row >= rows) return;
    s[w][lane] = x[row * 64 + lane] + x[row * 64 + 32 + lane];
    for (int d = 16; d; d /= 2) {
#ifdef SHUFFLE_ONLY
        __shfl_sync(FULL, d, 0);  // brings the lanes together, but orders no memory
#elif defined(WRONG_MASK)
        if (lane & 1) __syncwarp(0xaaaaaaaa); else __syncwarp(0x55555555);
#elif !defined(MISSING_SYNCWARP)
        __syncwarp();
#endif
        if (lane < d) s[w][lane] += s[w][lane + d];  // fault: MISSING_SYNCWARP WRONG_MASK SHUFFLE_ONLY
    }
    if (lane == 0) sums[row] = s[w][0];
}

__device__ unsigned done = 0;

// The block that is done last adds up what the others have left.
extern "C" __global__ void sum_last_block(const float* x, float* partial, float* total, int n) {
    __shared__ float s[64];
    __shared__ bool last;
    int t = threadIdx.x;
    float v = 0;
    for (int i = blockIdx.x * 64 + t; i < n; i += gridDim.x * 64) v += x[i];
    s[t] = v;
    __syncthreads();
    for (int d = 32; d; d >>= 1) {
        if (t < d) s[t] += s[t + d];
        __syncthreads();
    }
    if (t == 0) {
#ifdef EARLY_FENCE
        __threadfence();
#endif
        partial[blockIdx.x] = s[0];
#if !defined(MISSING_FENCE) && !defined(EARLY_FENCE)
        __threadfence();
#endif
#ifdef MISSING_ATOMIC
        last = done++ == gridDim.x - 1;  // fault: MISSING_ATOMIC
#else
        last = atomicAdd(&done, 1u) == gridDim.x - 1;
#endif
    }
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (!last) return;  // fault: MISSING_BARRIER
    for (int i = t; i < gridDim.x; i += 64) atomicAdd(total, partial[i]);  // fault: MISSING_FENCE EARLY_FENCE
    if (t == 0) done = 0;
}

// The greatest of all, each block striding over the whole.
extern "C" __global__ void max_stride(const int* x, int* greatest, int n) {
    __shared__ int best;
    if (threadIdx.x == 0) best = x[0];
    __syncthreads();
    int mine = x[0];
#ifdef OFF_BY_ONE
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i <= n; i += blockDim.x * gridDim.x)
#else
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
#endif
        mine = max(mine, x[i]);  // fault: OFF_BY_ONE
#ifdef MISSING_ATOMIC
    if (mine > best) best = mine;  // fault: MISSING_ATOMIC
#else
    atomicMax(&best, mine);
#endif
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (threadIdx.x == blockDim.x - 1) atomicMax(greatest, best);  // fault: MISSING_BARRIER
}
