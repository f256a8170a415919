// Shortest paths: one round of relaxations. Distances are integers, a great one where there is no path yet.

extern "C" __global__ void relax_nodes(const int* first, const int* to, const int* weight, int* distance,
                                       int* changed, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
#ifdef PLAIN_READ
    int mine = distance[v];  // fault: PLAIN_READ
#else
    int mine = atomicAdd(&distance[v], 0);
#endif
    for (int e = first[v]; e < first[v + 1]; e++) {
        int through = mine + weight[e];
#ifdef MISSING_ATOMIC
        if (through < distance[to[e]]) {
            distance[to[e]] = through;  // fault: MISSING_ATOMIC
            atomicExch(changed, 1);
        }
#else
        if (atomicMin(&distance[to[e]], through) > through) {
#ifdef SAME_VALUE
            changed[0] = 1;  // fault: SAME_VALUE
#else
            atomicExch(changed, 1);
#endif
        }
#endif
    }
}

// By edges, from the distances of the round before, so that each round is the same wherever it runs.
extern "C" __global__ void relax_edges(const int* from, const int* to, const int* weight, const int* old,
                                       int* distance, int edges) {
    int stride = blockDim.x * gridDim.x;
#ifdef OFF_BY_ONE
    for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < edges + 1; e += stride) {
#else
    for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < edges; e += stride) {
#endif
        int through = old[from[e]] + weight[e];  // fault: OFF_BY_ONE
#ifdef UNSAFE_GUARD
        if (through < distance[to[e]])  // fault: UNSAFE_GUARD
#endif
            atomicMin(&distance[to[e]], through);
    }
}

// A block for each node; its distance lies in shared memory.
extern "C" __global__ void relax_block(const int* first, const int* in, const int* weight, const int* old,
                                       int* distance) {
    __shared__ int best;
    int v = blockIdx.x;
    if (threadIdx.x == 0) best = old[v];
    __syncthreads();
    for (int e = first[v] + threadIdx.x; e < first[v + 1]; e += blockDim.x)
#ifdef MISSING_ATOMIC
        best = min(best, old[in[e]] + weight[e]);  // fault: MISSING_ATOMIC
#else
        atomicMin(&best, old[in[e]] + weight[e]);
#endif
#ifdef CONDITIONAL_BARRIER
    if (first[v] + (int)threadIdx.x < first[v + 1]) __syncthreads();  // fault: CONDITIONAL_BARRIER
#elif !defined(MISSING_BARRIER)
    __syncthreads();
#endif
    if (threadIdx.x == blockDim.x - 1) distance[v] = best;  // fault: MISSING_BARRIER
}
