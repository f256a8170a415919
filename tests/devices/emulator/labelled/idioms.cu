// Correct, though a careless checker may not think so. No macro plants anything here.
#include <cuda_pipeline.h>

extern "C" __global__ void different_trip_counts(const int* in, int* out) {
    __shared__ int s[32];
    int t = threadIdx.x;
    s[t] = in[t];
    for (int i = 0; i < blockIdx.x; i++) {
        __syncthreads();
        int v = s[31 - t];
        __syncthreads();
        s[t] = v + 1;
    }
    out[blockIdx.x * 32 + t] = s[t];
}

extern "C" __global__ void ballot_masks(const int* in, int* out) {
    __shared__ int s[64];
    int t = threadIdx.x, lane = t & 31;
    unsigned odd = __ballot_sync(~0u, in[t] & 1);
    if (in[t] & 1) {
        s[t] = in[t];
        __syncwarp(odd);
        int next = __ffs(odd >> lane >> 1);
        out[t] = next ? s[t + next] : 0;
    }
}

// Two tiles of 16 lanes that read the same word as often as each likes, before both meet.
extern "C" __global__ void uneven_tiles(int* out) {
    __shared__ int word;
    int t = threadIdx.x;
    unsigned mine = t < 16 ? 0x0000ffff : 0xffff0000;
    if (t == 0) word = 1;
    __syncwarp();
    int sum = 0;
    for (int i = 0; i < (t < 16 ? 3 : 1); i++) {
        sum += word;
        __syncwarp(mine);
    }
    sum += word;
    __syncwarp();
    if (t == 5) word = 7;
    __syncwarp();
    out[t] = sum + word;
}

extern "C" __global__ void exchange_stores(int* out) {
    __shared__ int s[32];
    int t = threadIdx.x;
    atomicExch(&s[t], t);
    __syncthreads();
    int mine = s[t];
    __syncthreads();
    atomicAdd(&s[0], mine ? 1 : 0);
    __syncthreads();
    out[t] = s[t];
}

struct Node { int key; struct { int left, right; } child; };

extern "C" __global__ void nodes(const Node* nodes, int* out, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    auto child = nodes[i].child;
    out[i] = nodes[i].key + child.left - child.right;
}

extern "C" __global__ void cleared(const int* in, int* out) {
    __shared__ union { int words[64]; unsigned char bytes[256]; } u;
    int t = threadIdx.x;
    if (t == 0) memset(&u, 0, sizeof u);
    __syncthreads();
    u.bytes[4 * (t ^ 1) + 1] = in[t];
    __syncthreads();
    memcpy(&out[t], &u.words[t], 4);
}

// Lanes that come the same way ask for their places together.
extern "C" __global__ void opportunistic(const int* in, int* kept, int* count) {
    int t = threadIdx.x, lane = t & 31;
    if (in[t] > 0) {
        unsigned here = __activemask();
        int leader = __ffs(here) - 1, base = 0;
        if (lane == leader) base = atomicAdd(count, __popc(here));
        base = __shfl_sync(here, base, leader);
        kept[base + __popc(here & ((1u << lane) - 1))] = in[t];
    }
}

// The lanes with the same key add once.
extern "C" __global__ void matched(const int* keys, int* counts) {
    int t = threadIdx.x;
    unsigned same = __match_any_sync(~0u, keys[t]);
    if (t % 32 == __ffs(same) - 1) atomicAdd(&counts[keys[t]], __popc(same));
}

// The thread that is last, of the block and of the grid, reads what the others have added.
extern "C" __global__ void last_thread(const int* x, int* sums, int* tickets, int* total, int n) {
    __shared__ int sum, ticket;
    if (threadIdx.x == 0) sum = ticket = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&sum, i < n ? x[i] : 0);
    __threadfence_block();
    if (atomicAdd(&ticket, 1) == blockDim.x - 1) {
        atomicAdd(sums, sum);
        __threadfence();
        if (atomicAdd(tickets, 1) == gridDim.x - 1) *total = *sums;
    }
}

// All threads fence what they wrote; one speaks for the block.
extern "C" __global__ void everybody_fences(const int* x, int* doubled, int* ticket, int* total) {
    __shared__ bool last;
    int n = blockDim.x * gridDim.x;
    doubled[blockIdx.x * blockDim.x + threadIdx.x] = 2 * x[blockIdx.x * blockDim.x + threadIdx.x];
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(ticket, 1) == gridDim.x - 1;
    __syncthreads();
    if (!last) return;
    for (int i = threadIdx.x; i < n; i += blockDim.x) atomicAdd(total, doubled[i]);
}

// Each warp uses a part of shared memory for itself, and one prefetch too many is begun.
extern "C" __global__ void warp_parts(const int* in, int* out) {
    extern __shared__ int parts[];
    int lane = threadIdx.x % 32;
    int* mine = parts + threadIdx.x / 32 * 64;
    mine[lane] = in[blockIdx.x * blockDim.x + threadIdx.x];
    __syncwarp();
    out[blockIdx.x * blockDim.x + threadIdx.x] = mine[lane ^ 7];
    __pipeline_memcpy_async(&mine[32 + lane], &in[threadIdx.x], 4);
    __pipeline_commit();
}

// Another use of the same memory by the next block.
extern "C" __global__ void table_lookup(const unsigned char* in, unsigned char* out, int n) {
    const unsigned char next[4] = {2, 3, 0, 1};
    __shared__ volatile unsigned char line[64];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) line[threadIdx.x] = next[in[i]];
    __syncthreads();
    if (i < n) out[i] = line[threadIdx.x ^ 1];
}
