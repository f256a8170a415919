// CUDA's words for a C++ compiler, so that a .cu file compiles for the CPU as it stands.
//
// Included before the first line of every kernel file; the other headers beside it supply the
// vector types, the arithmetic, the atomics, the warp operations and the launch.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#define MINIGAN_EMULATOR 1

#ifdef EMULATOR_LIST_KERNELS  // only preprocessed, to see which kernels there are (build.py)
#define __global__ emulator_kernel
#else
#define __global__ __attribute__((visibility("default")))
#endif
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

// A block runs on one thread of the host, so what is local to that thread belongs to the block. When
// checking there is only one such thread; plain statics have addresses that the checker can name.
#ifdef EMULATOR_CHECK
#define __shared__ static
#else
#define __shared__ static thread_local
#endif

// Functions of ours inside a kernel: what they read and write is no access of the kernel's.
#define EMULATOR_PLAIN __attribute__((no_sanitize("thread", "undefined")))

#ifdef EMULATOR_CHECK  // where a kernel calls these, the checker is to know
extern "C" {
void* memset(void*, int, size_t) __asm__("emulator_memset");
void* memcpy(void* __restrict, const void* __restrict, size_t) __asm__("emulator_memcpy");
void* memmove(void*, const void*, size_t) __asm__("emulator_memcpy");
}
#endif

#include "thread.h"

#define threadIdx (emulator_thread.thread)
#define blockIdx (emulator_thread.block)
#define blockDim (emulator_thread.block_size)
#define gridDim (emulator_thread.grid_size)
static constexpr int warpSize = 32;

extern "C" {
void emulator_barrier(const char* place);
int emulator_barrier_count(const char* place, int predicate);
void emulator_fence();
void* emulator_dynamic_shared();
}

// An asynchronous copy may arrive at any moment before it is waited for: at the last one when checking
// (async_copy.cpp), at the first one otherwise. Of `size` bytes, the first `from_size` come from memory and
// the others are zero.
#ifdef EMULATOR_CHECK
extern "C" {
void emulator_copy_async(void* to, const void* from, unsigned size, unsigned from_size);
void emulator_copy_commit();
void emulator_copy_wait(unsigned pending);
}
#else
inline void emulator_copy_async(void* to, const void* from, unsigned size, unsigned from_size) {
    if (from_size == size) memcpy(to, from, size);
    else memset(to, 0, size), memcpy(to, from, from_size);
}
inline void emulator_copy_commit() {}
inline void emulator_copy_wait(unsigned) {}
#endif

// Where in the source a thread waits, for messages: "file:line".
#define EMULATOR_STRING(x) #x
#define EMULATOR_STRING_OF(x) EMULATOR_STRING(x)
#define EMULATOR_HERE __FILE__ ":" EMULATOR_STRING_OF(__LINE__)

#define __syncthreads() emulator_barrier(EMULATOR_HERE)
#define __syncthreads_count(p) emulator_barrier_count(EMULATOR_HERE, !!(p))
#define __syncthreads_or(p) (emulator_barrier_count(EMULATOR_HERE, !!(p)) != 0)
#define __syncthreads_and(p) (emulator_barrier_count(EMULATOR_HERE, !(p)) == 0)
#define __threadfence() emulator_fence()
#define __threadfence_system() emulator_fence()
#define __threadfence_block() emulator_fence()

#include "arithmetic.h"
#include "atomics.h"
#include "warp.h"
#include "launch.h"
