// Connected components: every node takes the least label that it can see.

// A thread for each node pushes its label to its neighbours.
extern "C" __global__ void labels_push(const int* first, const int* to, int* label, int* changed, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
    int mine = atomicMin(&label[v], n);
#ifdef OFF_BY_ONE
    int end = first[v + 2];  // fault: OFF_BY_ONE
#else
    int end = first[v + 1];
#endif
    for (int e = first[v]; e < end; e++) {
        int u = to[e];
#ifdef MISSING_ATOMIC
        if (label[u] > mine) {  // fault: MISSING_ATOMIC
            label[u] = mine;  // fault: MISSING_ATOMIC
            atomicExch(changed, 1);
        }
#elif defined(UNSAFE_GUARD)
        if (label[u] > mine) {  // fault: UNSAFE_GUARD
            atomicMin(&label[u], mine);
            atomicExch(changed, 1);
        }
#else
        if (atomicMin(&label[u], mine) > mine) atomicExch(changed, 1);
#endif
    }
}

// A thread for each node pulls from the labels of the launch before.
extern "C" __global__ void labels_pull(const int* first, const int* to, const int* old, int* label, int n) {
    for (int v = blockIdx.x * blockDim.x + threadIdx.x; v < n; v += gridDim.x * blockDim.x) {
        int least = old[v];
#ifdef IN_PLACE
        for (int e = first[v]; e < first[v + 1]; e++) least = min(least, label[to[e]]);  // fault: IN_PLACE
#else
        for (int e = first[v]; e < first[v + 1]; e++) least = min(least, old[to[e]]);
#endif
        label[v] = least;  // fault: IN_PLACE
    }
}

// A warp for each node: its lanes share out the neighbours.
extern "C" __global__ void labels_warp(const int* first, const int* to, const int* old, int* label, int n) {
    int v = (blockIdx.x * blockDim.x + threadIdx.x) >> 5, lane = threadIdx.x & 31;
    if (v >= n) return;
    int least = old[v];
    for (int e = first[v] + lane; e < first[v + 1]; e += 32) least = min(least, old[to[e]]);
#ifdef WRONG_MASK
    if (lane < first[v + 1] - first[v]) least = __reduce_min_sync(0xffffffff, least);  // fault: WRONG_MASK
#else
    least = __reduce_min_sync(0xffffffff, least);
#endif
#ifdef SAME_VALUE
    label[v] = least;  // fault: SAME_VALUE
#else
    if (lane == 0) label[v] = least;
#endif
}

// A thread for each edge hooks one root onto another.
extern "C" __global__ void hook_edges(const int* from, const int* to, int* parent, int edges) {
    int e = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef MISSING_GUARD
    if (e >= edges) return;
#endif
    int a = from[e], b = to[e];  // fault: MISSING_GUARD
    for (;;) {
        int pa, pb;
        while ((pa = atomicAdd(&parent[a], 0)) != a) a = pa;
        while ((pb = atomicAdd(&parent[b], 0)) != b) b = pb;
        if (a == b) return;
        if (a < b) { int c = a; a = b; b = c; }
#ifdef MISSING_ATOMIC
        parent[a] = b;  // fault: MISSING_ATOMIC
        return;
#else
        if (atomicCAS(&parent[a], a, b) == a) return;
#endif
    }
}
