// Breadth-first search on a graph in compressed rows: the neighbours of v are to[first[v]] .. to[first[v + 1] - 1].
// One launch per level; a node that is not reached yet has level -1.

extern "C" __global__ void bfs_nodes(const int* first, const int* to, int* level, int* changed, int now, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef MISSING_GUARD
    if (v >= n) return;
#endif
    // Atomic, because others may set it meanwhile.
    if (atomicAdd(&level[v], 0) != now) return;  // fault: MISSING_GUARD
#ifdef OFF_BY_ONE
    for (int e = first[v]; e <= first[v + 1]; e++) {
#else
    for (int e = first[v]; e < first[v + 1]; e++) {
#endif
        int u = to[e];  // fault: OFF_BY_ONE
#ifdef MISSING_ATOMIC
        if (level[u] == -1) {
            level[u] = now + 1;  // fault: MISSING_ATOMIC
#else
        if (atomicCAS(&level[u], -1, now + 1) == -1) {
#endif
#ifdef SAME_VALUE
            *changed = 1;  // fault: SAME_VALUE
#else
            atomicExch(changed, 1);
#endif
        }
    }
}

// From one list of nodes to the next.
extern "C" __global__ void bfs_list(const int* first, const int* to, int* visited, const int* list, int length,
                                    int* next, int* tail) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef LAST_ELEMENT
    if (i > length) return;
#else
    if (i >= length) return;
#endif
    int v = list[i];  // fault: LAST_ELEMENT
    for (int e = first[v]; e < first[v + 1]; ++e) {
        int u = to[e];
#ifdef UNSAFE_GUARD
        if (visited[u]) continue;  // fault: UNSAFE_GUARD
#endif
        if (atomicExch(&visited[u], 1)) continue;
#ifdef MISSING_ATOMIC
        next[(*tail)++] = u;  // fault: MISSING_ATOMIC
#else
        next[atomicAdd(tail, 1)] = u;
#endif
    }
}

// A warp for each node of the list.
extern "C" __global__ void bfs_warps(const int* first, const int* to, int* visited, const int* list, int length,
                                     int* next, int* tail) {
    int w = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (w >= length) return;
    int v = list[w], begin = first[v], end = first[v + 1];
    for (int e0 = begin; e0 < end; e0 += 32) {
        int e = e0 + lane, u = -1;
#ifdef MISSING_GUARD
        u = to[e];  // fault: MISSING_GUARD
#else
        if (e < end) u = to[e];
#endif
        bool fresh = u >= 0 && atomicCAS(&visited[u], 0, 1) == 0;
#ifdef WRONG_MASK
        unsigned who = fresh ? __ballot_sync(0xffffffff, fresh) : 0;  // fault: WRONG_MASK
#else
        unsigned who = __ballot_sync(0xffffffff, fresh);
#endif
        int base = 0;
        if (lane == 0) base = atomicAdd(tail, __popc(who));
        base = __shfl_sync(0xffffffff, base, 0);
        if (fresh) next[base + __popc(who & ((1u << lane) - 1))] = u;
    }
}

// A thread for each edge; the block collects its finds in shared memory first.
extern "C" __global__ void bfs_edges(const int* from, const int* to, int edges, const int* level, int* reached,
                                     int now, int* found, int* tail) {
    __shared__ int mine[64], count, base;
    int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x == 0) count = 0;
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
#ifdef EARLY_RETURN
    if (e >= edges) return;
#endif
    if (e < edges && level[from[e]] == now && level[to[e]] < 0 && !atomicExch(&reached[to[e]], 1))
        mine[atomicAdd(&count, 1)] = to[e];  // fault: MISSING_BARRIER
    __syncthreads();  // fault: EARLY_RETURN
    if (threadIdx.x == 0) base = atomicAdd(tail, count);
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x) found[base + i] = mine[i];
}
