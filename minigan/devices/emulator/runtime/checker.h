// The checker, as the scheduler and the instrumented kernels see it. In the fast build it does nothing.
#pragma once

#include "scheduler.h"

namespace emulator::check {

#ifdef EMULATOR_CHECK
constexpr bool enabled = true;

// From the scheduler.
void block_begins(const Block& block);
void block_ends();
void barrier_passed(const Block& block, unsigned waiting);  // how many of its threads wait at it
void warp_met(const Warp& warp, unsigned mask, bool orders);  // these lanes; `orders`: at __syncwarp
void warp_op_stuck(const Lane& lane, unsigned missing);  // it waits for these, which will not come
bool busy();                       // inside the checker, which cannot be abandoned;
void leave_soon(const char* why);  // it abandons the block itself as soon as it can

// From kernels: before each access, and at fences. `pc` is the instruction behind the call.
// An atomic operation that only reads, or only writes (an exchange is taken for that), is told apart.
enum class Kind { read, write, atomic, atomic_read, atomic_write };
void access(const void* address, unsigned size, Kind kind, uintptr_t pc);
void fence();
// An asynchronous copy to `address` begins; it ends, for the thread that began it, when it is waited for.
void copy_begins(void* address, unsigned size, uintptr_t pc);
void copy_ends(void* address, unsigned size, uintptr_t pc);
#else
constexpr bool enabled = false;

inline void block_begins(const Block&) {}
inline void block_ends() {}
inline void barrier_passed(const Block&, unsigned) {}
inline void warp_met(const Warp&, unsigned, bool) {}
inline void warp_op_stuck(const Lane&, unsigned) {}
inline bool busy() { return false; }
inline void leave_soon(const char*) {}
inline void copy_begins(void*, unsigned, uintptr_t) {}
inline void copy_ends(void*, unsigned, uintptr_t) {}
#endif

}  // namespace emulator::check
