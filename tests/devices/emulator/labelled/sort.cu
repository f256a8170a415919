// Sorting networks.

extern "C" __global__ void bitonic(int* keys) {
    __shared__ int s[128];
    int t = threadIdx.x, base = blockIdx.x * 128;
    s[t] = keys[base + t];
    for (int size = 2; size <= 128; size *= 2)
        for (int d = size / 2; d; d /= 2) {
#ifdef CONDITIONAL_BARRIER
            if ((t ^ d) > t) __syncthreads();  // fault: CONDITIONAL_BARRIER
#elif defined(MISSING_BARRIER)
            if (d >= 32) __syncthreads();  // within a warp none is thought needed
#else
            __syncthreads();
#endif
            int other = t ^ d;
#ifdef BOTH_PARTNERS
            int a = s[t], b = s[other];  // fault: BOTH_PARTNERS
            s[t] = ((t & size) == 0) == (t < other) ? min(a, b) : max(a, b);  // fault: BOTH_PARTNERS
#else
            if (other > t) {
                int a = s[t], b = s[other];  // fault: MISSING_BARRIER
                if ((a > b) == ((t & size) == 0)) {
                    s[t] = b;  // fault: MISSING_BARRIER
                    s[other] = a;  // fault: MISSING_BARRIER
                }
            }
#endif
        }
    __syncthreads();
    keys[base + t] = s[t];
}

// One step of a network in global memory, as many launches make it.
extern "C" __global__ void exchange_step(float* keys, int n, int distance, int size) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef WRONG_PARTNER
    int other = i + distance;
#else
    int other = i ^ distance;
#endif
    if (other <= i || other >= n) return;
    float a = keys[i], b = keys[other];  // fault: WRONG_PARTNER
    if ((a > b) == ((i & size) == 0)) {
        keys[i] = b;  // fault: WRONG_PARTNER
        keys[other] = a;  // fault: WRONG_PARTNER
    }
}

// Odd-even transposition, as long as anything moves.
extern "C" __global__ void odd_even(short* keys, int n) {
    extern __shared__ short line[];
    int t = threadIdx.x;
    for (int i = t; i < n; i += blockDim.x) line[i] = keys[i];
    __syncthreads();
    bool moved;
    do {
        moved = false;
        for (int odd = 0; odd < 2; odd++) {
            int i = 2 * t + odd;
#ifdef OFF_BY_ONE
            if (i < n && line[i] > line[i + 1]) {  // fault: OFF_BY_ONE
#else
            if (i + 1 < n && line[i] > line[i + 1]) {  // fault: MISSING_BARRIER
#endif
                short k = line[i];
                line[i] = line[i + 1];
                line[i + 1] = k;
                moved = true;
            }
#ifdef MISSING_BARRIER
            if (odd == 0) __syncthreads();
#else
            __syncthreads();
#endif
        }
#ifdef MISSING_BARRIER
        moved = __any_sync(0xffffffff, moved);
#else
        moved = __syncthreads_or(moved);
#endif
    } while (moved);
    __syncthreads();
    for (int i = t; i < n; i += blockDim.x) keys[i] = line[i];
}
