// How often each value occurs.
#define BINS 40

extern "C" __global__ void histogram_shared(const unsigned char* data, unsigned* counts, int n) {
    __shared__ unsigned mine[BINS];
#ifndef UNINITIALISED
    for (int b = threadIdx.x; b < BINS; b += blockDim.x) mine[b] = 0;
#endif
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
#ifdef MISSING_ATOMIC
        mine[data[i]]++;  // fault: MISSING_ATOMIC
#else
        atomicAdd(&mine[data[i]], 1u);  // fault: MISSING_BARRIER UNINITIALISED
#endif
#ifndef MISSING_SECOND_BARRIER
    __syncthreads();
#endif
    for (int b = threadIdx.x; b < BINS; b += blockDim.x)
        if (mine[b]) atomicAdd(&counts[b], mine[b]);  // fault: MISSING_SECOND_BARRIER
}

extern "C" __global__ void histogram_global(const int* data, int* counts, int n) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
#ifdef MISSING_GUARD
    atomicAdd(counts + data[i], 1);  // fault: MISSING_GUARD
#else
    if (i >= n) return;
#ifdef MISSING_ATOMIC
    counts[data[i]] += 1;  // fault: MISSING_ATOMIC
#elif defined(OFF_BY_ONE)
    atomicAdd(counts + data[i] + 1, 1);  // fault: OFF_BY_ONE
#else
    atomicAdd(counts + data[i], 1);
#endif
#endif
}

// A column of byte counters for each thread; four threads share each word, but no byte.
extern "C" __global__ void histogram_bytes(const unsigned char* data, int* counts, int n) {
    __shared__ unsigned char small[8][64];
    int t = threadIdx.x;
    for (int b = 0; b < 8; b++) small[b][t] = 0;
    for (int i = t; i < n; i += 64)
#ifdef WRONG_INDEX
        small[data[i]][t & ~1]++;  // fault: WRONG_INDEX
#else
        small[data[i]][t]++;
#endif
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (t < 8) {
        int sum = 0;
        for (int k = 0; k < 64; k++) sum += small[t][k];  // fault: MISSING_BARRIER
        counts[t] = sum;
    }
}
