// Critical sections and queues.

// Each block adds to a record of several words under a lock.
extern "C" __global__ void add_locked(int* lock, int* record, const int* amounts) {
    if (threadIdx.x != 0) return;
#ifdef MISSING_LOCK
    (void)lock;
#else
    while (atomicCAS(lock, 0, 1) != 0) {}
    __threadfence();
#endif
    record[0] += 1;  // fault: MISSING_LOCK MISSING_FENCE PLAIN_UNLOCK
    record[1] += amounts[blockIdx.x];
    record[2] = max(record[2], amounts[blockIdx.x]);
#ifndef MISSING_FENCE
    __threadfence();
#endif
#ifdef PLAIN_UNLOCK
    *lock = 0;  // fault: PLAIN_UNLOCK
#elif !defined(MISSING_LOCK)
    atomicExch(lock, 0);
#endif
}

// The items that are kept, in any order: places are reserved for a block at a time.
extern "C" __global__ void keep_positive(const int* in, int* kept, int* count, int n) {
    __shared__ int here, base;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef UNINITIALISED
    if (threadIdx.x == 0) here = 0;
    __syncthreads();
#endif
    bool keep = i < n && in[i] > 0;
    int place = 0;
#ifdef MISSING_ATOMIC
    if (keep) place = here++;  // fault: MISSING_ATOMIC
#else
    if (keep) place = atomicAdd(&here, 1);  // fault: UNINITIALISED
#endif
    __syncthreads();
    if (threadIdx.x == 0) base = atomicAdd(count, here);
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    if (keep) kept[base + place] = in[i];  // fault: MISSING_BARRIER
}

// The same, the lanes that keep something asking for their places together.
extern "C" __global__ void keep_by_warps(const int* in, int* kept, int* count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31;
    bool keep = i < n && in[i] > 0;
    unsigned who = __ballot_sync(0xffffffff, keep);
    if (!keep) return;
    int leader = __ffs(who) - 1, base = 0;
#ifdef MISSING_ATOMIC
    if (lane == leader) base = *count, *count += __popc(who);  // fault: MISSING_ATOMIC
#else
    if (lane == leader) base = atomicAdd(count, __popc(who));
#endif
#ifdef WRONG_MASK
    base = __shfl_sync(0xffffffff, base, leader);  // fault: WRONG_MASK
#else
    base = __shfl_sync(who, base, leader);
#endif
#ifdef WRONG_INDEX
    kept[base + __popc(who & ((1u << lane) - 1)) / 2] = in[i];  // fault: WRONG_INDEX
#else
    kept[base + __popc(who & ((1u << lane) - 1))] = in[i];
#endif
}
