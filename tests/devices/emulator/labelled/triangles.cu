// Triangles of a graph; each row's neighbours are sorted, and only those of higher number are kept.

extern "C" __global__ void triangles_nodes(const int* first, const int* to, unsigned* count, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
    unsigned found = 0;
    for (int e = first[v]; e < first[v + 1]; e++) {
        int u = to[e], i = e + 1, j = first[u];
#ifdef OFF_BY_ONE
        while (i < first[v + 1] && j <= first[u + 1]) {
#else
        while (i < first[v + 1] && j < first[u + 1]) {
#endif
            int a = to[i], b = to[j];  // fault: OFF_BY_ONE
            found += a == b;
            i += a <= b;
            j += b <= a;
        }
    }
#ifdef MISSING_ATOMIC
    *count += found;  // fault: MISSING_ATOMIC
#else
    atomicAdd(count, found);
#endif
}

__device__ bool contains(const int* sorted, int length, int key) {
#ifdef LAST_ELEMENT
    int low = 0, high = length + 1;
#else
    int low = 0, high = length;
#endif
    while (low < high) {
        int middle = (low + high) / 2;
        if (sorted[middle] < key) low = middle + 1;  // fault: LAST_ELEMENT
        else high = middle;
    }
    return low < length && sorted[low] == key;
}

// A warp for each edge, by binary search.
extern "C" __global__ void triangles_warp(const int* from, const int* first, const int* to, unsigned* count,
                                          int edges) {
    int e = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
#ifndef MISSING_GUARD
    if (e >= edges) return;
#endif
    int u = from[e], v = to[e];  // fault: MISSING_GUARD
    int found = 0;
    for (int i = first[u] + lane; i < first[u + 1]; i += 32)
        found += contains(to + first[v], first[v + 1] - first[v], to[i]);
#ifdef WRONG_MASK
    for (int d = 16; d; d /= 2) found += __shfl_down_sync(0x0000ffff, found, d);  // fault: WRONG_MASK
#else
    for (int d = 16; d; d /= 2) found += __shfl_down_sync(0xffffffff, found, d);
#endif
    if (lane == 0) atomicAdd(count, found);
}

// A block for each node, which keeps its neighbours at hand.
#define MOST 64
extern "C" __global__ void triangles_block(const int* first, const int* to, unsigned* count) {
    __shared__ int near[MOST];
    __shared__ unsigned found;
    int v = blockIdx.x, degree = first[v + 1] - first[v];
    if (degree > MOST) __trap();
#ifndef UNINITIALISED
    if (threadIdx.x == 0) found = 0;
#endif
    for (int i = threadIdx.x; i < degree; i += blockDim.x) near[i] = to[first[v] + i];
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    for (int i = threadIdx.x; i < degree; i += blockDim.x) {
        int u = to[first[v] + i];
        for (int e = first[u]; e < first[u + 1]; e++)
            for (int k = 0; k < degree; k++)
#ifdef MISSING_ATOMIC
                if (near[k] == to[e]) found++;  // fault: MISSING_ATOMIC
#else
                if (near[k] == to[e]) atomicAdd(&found, 1u);  // fault: MISSING_BARRIER UNINITIALISED
#endif
    }
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(count, found);
}
