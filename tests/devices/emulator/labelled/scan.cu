// Prefix sums within a block.

extern "C" __global__ void scan_hillis(const int* in, int* out) {
    extern __shared__ int two[];  // lines that are read and written by turns
    int n = blockDim.x, t = threadIdx.x, from = 0, to = n;
    two[t] = in[blockIdx.x * n + t];
    __syncthreads();
    for (int d = 1; d < n; d <<= 1) {
#ifdef ONE_BUFFER
        two[from + t] = t >= d ? two[from + t] + two[from + t - d] : two[from + t];  // fault: ONE_BUFFER
#else
        two[to + t] = t >= d ? two[from + t] + two[from + t - d] : two[from + t];  // fault: MISSING_BARRIER
        int other = from;
        from = to;
        to = other;
#endif
#ifndef MISSING_BARRIER
        __syncthreads();
#endif
    }
    out[blockIdx.x * n + t] = two[from + t];
}

// Exclusive, work-efficient, two elements per thread.
extern "C" __global__ void scan_blelloch(const unsigned* in, unsigned* out) {
    __shared__ unsigned s[128];
    unsigned t = threadIdx.x, step = 1;
    s[2 * t] = in[2 * t];
    s[2 * t + 1] = in[2 * t + 1];
    for (unsigned d = 64; d > 0; d >>= 1) {
        __syncthreads();
        if (t < d) s[step * (2 * t + 2) - 1] += s[step * (2 * t + 1) - 1];
        step *= 2;
    }
    if (t == 0) s[127] = 0;
    for (unsigned d = 1; d < 128; d *= 2) {
        step >>= 1;
#ifdef CONDITIONAL_BARRIER
        if (t < d) __syncthreads();  // fault: CONDITIONAL_BARRIER
#elif !defined(MISSING_BARRIER)
        __syncthreads();
#endif
        if (t < d) {
#ifdef OFF_BY_ONE
            unsigned a = step * (2 * t + 1), b = step * (2 * t + 2);
#else
            unsigned a = step * (2 * t + 1) - 1, b = step * (2 * t + 2) - 1;
#endif
            unsigned left = s[a];  // fault: MISSING_BARRIER
            s[a] = s[b];  // fault: MISSING_BARRIER OFF_BY_ONE
            s[b] += left;  // fault: MISSING_BARRIER
        }
    }
    __syncthreads();
    out[2 * t] = s[2 * t];
    out[2 * t + 1] = s[2 * t + 1];
}

// Each warp by shuffles, then the sums of the warps by the first.
extern "C" __global__ void scan_shuffle(const int* in, int* out, int n) {
    __shared__ int sums[4];
    int t = threadIdx.x, lane = t % 32, warp = t / 32;
    int v = t < n ? in[t] : 0;
    for (int d = 1; d < 32; d *= 2) {
#ifdef DIVERGENT
        if (lane >= d) v += __shfl_up_sync(0xffffffff, v, d);  // fault: DIVERGENT
#else
        int below = __shfl_up_sync(0xffffffff, v, d);
        if (lane >= d) v += below;
#endif
    }
    if (lane == 31) sums[warp] = v;
    __syncthreads();
    if (t == 0)
        for (int w = 1; w < 4; w++) sums[w] += sums[w - 1];
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
#ifdef OFF_BY_ONE
    v += sums[warp - 1];  // fault: OFF_BY_ONE
#else
    if (warp) v += sums[warp - 1];  // fault: MISSING_BARRIER
#endif
#ifdef MISSING_GUARD
    out[t] = v;  // fault: MISSING_GUARD
#else
    if (t < n) out[t] = v;
#endif
}
