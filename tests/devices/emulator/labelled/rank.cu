// PageRank: one step of  new[v] = (1 - d) / n + d * sum over edges u -> v of old[u] / degree[u].
#define D 0.85f

// The rows hold the edges that come in.
extern "C" __global__ void rank_pull(const int* first, const int* in, const int* degree, const float* old,
                                     float* rank, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
    float sum = 0;
#ifdef OFF_BY_ONE
    for (int e = first[v]; e <= first[v + 1]; e++) {
#else
    for (int e = first[v]; e < first[v + 1]; e++) {
#endif
        int u = in[e];  // fault: OFF_BY_ONE
#ifdef IN_PLACE
        sum += rank[u] / degree[u];  // fault: IN_PLACE
#else
        sum += old[u] / degree[u];
#endif
    }
    rank[v] = (1 - D) / n + D * sum;
}

// The rows hold the edges that go out; rank is zero before.
extern "C" __global__ void rank_push(const int* first, const int* out, const float* old, float* rank, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
    int begin = first[v], end = first[v + 1];
    float share = D * old[v] / (end - begin);
    for (int e = begin; e < end; e++) {
#ifdef MISSING_ATOMIC
        rank[out[e]] += share;  // fault: MISSING_ATOMIC
#else
        atomicAdd(&rank[out[e]], share);  // fault: HALF_ATOMIC
#endif
    }
#ifdef HALF_ATOMIC
    rank[v] += (1 - D) / n;  // fault: HALF_ATOMIC
#else
    atomicAdd(&rank[v], (1 - D) / n);
#endif
}

// A block for each node.
extern "C" __global__ void rank_block(const int* first, const int* in, const int* degree, const float* old,
                                      float* rank, int n) {
    __shared__ float part[64];
    __shared__ int begin, end;
    int v = blockIdx.x, t = threadIdx.x;
    if (t == 0) begin = first[v], end = first[v + 1];
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    float sum = 0;
    for (int e = begin + t; e < end; e += 64) sum += old[in[e]] / degree[in[e]];  // fault: MISSING_BARRIER
#ifdef UNINITIALISED
    if (t < end - begin) part[t] = sum;
#else
    part[t] = sum;
#endif
    __syncthreads();
    for (int d = 32; d; d >>= 1) {
        if (t < d) part[t] += part[t + d];  // fault: UNINITIALISED
#ifdef CONDITIONAL_BARRIER
        if (d < end - begin || t == 0) __syncthreads();  // fault: CONDITIONAL_BARRIER
#else
        __syncthreads();
#endif
    }
    if (t == 0) rank[v] = (1 - D) / n + D * part[0];
}

// How much two ranks differ in all.
extern "C" __global__ void rank_change(const float* a, const float* b, float* change, int n) {
    __shared__ float s;
    if (threadIdx.x == 0) s = 0;
    __syncthreads();
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    float d = v < n ? fabsf(a[v] - b[v]) : 0;
#ifdef MISSING_ATOMIC
    s += d;  // fault: MISSING_ATOMIC
#else
    atomicAdd(&s, d);
#endif
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (threadIdx.x == blockDim.x - 1) atomicAdd(change, s);  // fault: MISSING_BARRIER
}
