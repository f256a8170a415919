// Degrees, independent sets, colours, and lists of work.

extern "C" __global__ void degrees(const int* from, const int* to, int* degree, int edges) {
    int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= edges) return;
#ifdef MISSING_ATOMIC
    degree[from[e]] += 1;  // fault: MISSING_ATOMIC
    degree[to[e]] += 1;  // fault: MISSING_ATOMIC
#elif defined(HALF_ATOMIC)
    atomicAdd(&degree[from[e]], 1);  // fault: HALF_ATOMIC
    degree[to[e]]++;  // fault: HALF_ATOMIC
#else
    atomicAdd(&degree[from[e]], 1);
    atomicAdd(&degree[to[e]], 1);
#endif
}

// One round towards a maximal independent set. State as bytes: 0 undecided, 1 in, 2 out. A node enters if
// its priority is the greatest among its undecided neighbours.
extern "C" __global__ void independent_round(const int* first, const int* to, const int* priority,
                                             const unsigned char* old, unsigned char* state, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
#ifdef IN_PLACE
    const unsigned char* seen = state;
#else
    const unsigned char* seen = old;
#endif
    unsigned char mine = seen[v];
    if (mine == 0) {
        mine = 1;
        for (int e = first[v]; e < first[v + 1]; e++) {
            int u = to[e];
            if (seen[u] == 1) { mine = 2; break; }  // fault: IN_PLACE
            if (seen[u] == 0 && priority[u] > priority[v]) mine = 0;  // fault: IN_PLACE
        }
    }
#ifdef NEIGHBOURS_OUT
    if (mine == 1)
        for (int e = first[v]; e < first[v + 1]; e++) state[to[e]] = 2;  // fault: NEIGHBOURS_OUT
#endif
    state[v] = mine;
}

// The smallest colour that no coloured neighbour of lower number has; `colour` is -1 where there is none yet.
extern "C" __global__ void colour_ready(const int* first, const int* to, const int* old, int* colour, int n) {
    int v = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef MISSING_GUARD
    if (v > n) return;
#else
    if (v >= n) return;
#endif
    unsigned used = 0;
    for (int e = first[v]; e < first[v + 1]; e++) {  // fault: MISSING_GUARD
        int u = to[e];
        if (u >= v) continue;
        if (old[u] < 0) return;
        used |= 1u << old[u];
    }
    colour[v] = __ffs(~used) - 1;
}

// Work that is handed out in pieces: each warp takes the next until there is none left.
extern "C" __global__ void take_pieces(const float* x, float* y, int* next, int pieces, int n) {
    int lane = threadIdx.x % 32;
    while (true) {
        int piece = 0;
#ifdef MISSING_ATOMIC
        if (lane == 0) piece = (*next)++;  // fault: MISSING_ATOMIC
#else
        if (lane == 0) piece = atomicAdd(next, 1);
#endif
        piece = __shfl_sync(0xffffffff, piece, 0);
        if (piece >= pieces) break;
        int i = piece * 32 + lane;
#ifdef MISSING_GUARD
        y[i] = x[i] * x[i];  // fault: MISSING_GUARD
#else
        if (i < n) y[i] = x[i] * x[i];
#endif
    }
}

// The nodes of a degree above the bound, in the order of their numbers within each block.
extern "C" __global__ void busy_nodes(const int* first, int bound, int* list, int* tail, int n) {
    __shared__ int before[4];
    __shared__ int base;
    int v = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31, w = threadIdx.x >> 5;
    bool busy = v < n && first[v + 1] - first[v] > bound;
    unsigned votes = __ballot_sync(~0u, busy);
    if (lane == 0) before[w] = __popc(votes);
    int total = __syncthreads_count(busy);
    if (threadIdx.x == 0) {
        base = atomicAdd(tail, total);
        for (int i = 0, sum = 0; i < 4; i++) {
#ifdef OFF_BY_ONE
            int c = before[i + 1];  // fault: OFF_BY_ONE
#else
            int c = before[i];
#endif
            before[i] = sum;
            sum += c;
        }
    }
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (busy) list[base + before[w] + __popc(votes & ((1u << lane) - 1))] = v;  // fault: MISSING_BARRIER
}
