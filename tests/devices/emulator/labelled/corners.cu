// Faults that are easy to overlook: in the second round only, between warps only, of two readers only.

// Each round turns the line by one place.
extern "C" __global__ void turn(int* line, int rounds) {
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = line[t];
    for (int round = 0; round < rounds; round++) {
        __syncthreads();
        int next = s[(t + 1) % 64];  // fault: SECOND_ROUND
#ifdef SECOND_ROUND
        if (round == 0) __syncthreads();
#elif defined(BETWEEN_WARPS)
        __syncwarp();
#else
        __syncthreads();
#endif
        s[t] = next;  // fault: SECOND_ROUND BETWEEN_WARPS
    }
    line[t] = s[t];
}

// A value that two threads read before a third replaces it.
extern "C" __global__ void two_readers(const int* in, int* out) {
    __shared__ int value;
    int t = threadIdx.x;
    if (t == 0) value = in[0];
    __syncthreads();
    if (t == 1 || t == 40) out[t] = value;  // fault: MISSING_BARRIER
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (t == 1) value = in[1];  // fault: MISSING_BARRIER
    __syncthreads();
    if (t == 0) out[0] = value;
}

// Only the last block goes beyond the end, by one element, and only there.
extern "C" __global__ void differences(const double* x, double* d, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef LAST_BLOCK
    if (i < n) d[i] = x[i + 1] - x[i];  // fault: LAST_BLOCK
#else
    if (i < n - 1) d[i] = x[i + 1] - x[i];
#endif
}

// Neighbouring bytes of one word, written by threads of different blocks.
extern "C" __global__ void mark_bytes(const int* in, char* marks, int n) {
    int i = threadIdx.x * gridDim.x + blockIdx.x;
#ifdef SAME_BYTE
    if (i < n) marks[i / 2] = in[i] > 0;  // fault: SAME_BYTE
#else
    if (i < n) marks[i] = in[i] > 0;
#endif
}

// Two shared arrays side by side; the index leaves the first towards the second, and the second towards the first.
extern "C" __global__ void side_by_side(const float* in, float* out) {
    __shared__ float left[32], right[32];
    int t = threadIdx.x;
    left[t] = in[t];
    right[t] = -in[t];
    __syncthreads();
    float* l = left;
    float* r = right;
#ifdef PAST_THE_END
    out[t] = l[t + 1] + r[t];  // fault: PAST_THE_END
#elif defined(BEFORE_THE_BEGINNING)
    out[t] = l[t] + r[t - 1];  // fault: BEFORE_THE_BEGINNING
#else
    out[t] = l[t] + r[t];
#endif
}

// Atomic additions of many blocks, and one that reads the sum at once.
extern "C" __global__ void count_and_look(int* count, int* seen) {
    if (threadIdx.x == 0) {
#ifdef PLAIN_READ
        atomicAdd(count, 1);  // fault: PLAIN_READ
        if (blockIdx.x == gridDim.x - 1) *seen = *count;  // fault: PLAIN_READ
#else
        int before = atomicAdd(count, 1);
        if (blockIdx.x == gridDim.x - 1) *seen = before + 1;
#endif
    }
}

// What one block leaves for the next is there only after the launch.
extern "C" __global__ void hand_over(const int* in, int* out) {
    int b = blockIdx.x, t = threadIdx.x;
    out[b * 32 + t] = 2 * in[b * 32 + t];
#ifdef OTHER_BLOCK
    __syncthreads();
    if (b > 0 && t == 0) out[b * 32] += out[b * 32 - 1];  // fault: OTHER_BLOCK
#else
    if (b > 0 && t == 0) out[b * 32] += 2 * in[b * 32 - 1];
#endif
}

__device__ int table[16];

// A table in device memory, which each launch fills and uses.
extern "C" __global__ void squares(int* out, int n) {
#ifdef ALL_BLOCKS
    int last = gridDim.x;
#else
    int last = 1;
#endif
    if (blockIdx.x >= last) return;
    int t = threadIdx.x;
    if (t < 16) table[t] = t * t;  // fault: ALL_BLOCKS
    __syncthreads();
    int* p = table + 8;
#ifdef NEGATIVE_INDEX
    for (int i = t; i < n; i += blockDim.x) out[i] = p[i % 17 - 9];  // fault: NEGATIVE_INDEX
#else
    for (int i = t; i < n; i += blockDim.x) out[i] = p[i % 16 - 8];
#endif
}

// An array that is filled, passed on, and used for something else.
extern "C" __global__ void recycled(const float* in, int* out) {
    __shared__ float f[64];
    int t = threadIdx.x;
    f[t] = in[t];
    __syncthreads();
    int rank = 0;
    for (int i = 0; i < 64; i++) rank += f[i] < f[t];
#ifndef REUSED_TOO_SOON
    __syncthreads();
#endif
    int* order = reinterpret_cast<int*>(f);
    order[rank] = t;  // fault: REUSED_TOO_SOON
    __syncthreads();
    out[t] = order[t];
}
