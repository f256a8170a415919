// Atomic operations. Blocks run at the same time on several threads of the host, so these are atomic
// there too; when checking there is one thread, and the checker is told of each.
#pragma once

#include <type_traits>

extern "C" void emulator_atomic(void* address, int size, int only_writes, const void* where);

// What atomicExch does; by its type the checker knows that the value before need not have been set.
template <class T>
struct EmulatorReplace {
    T value;
    EMULATOR_PLAIN T operator()(T) const { return value; }
};

// Replace *p by function(*p) in one step, and give back what was there.
#ifdef EMULATOR_CHECK
template <class T, class Function>
__attribute__((noinline, no_sanitize("thread"))) T emulator_exchange(T* p, Function function) {
    emulator_atomic(p, sizeof(T), std::is_same_v<Function, EmulatorReplace<T>>, __builtin_return_address(0));
    T before = *p;
    *p = function(before);
    return before;
}
#define EMULATOR_ATOMIC __forceinline__  // so that `where` is the line that called atomicAdd
#else
template <class T, class Function>
inline T emulator_exchange(T* p, Function function) {
    T before, after;
    __atomic_load(p, &before, __ATOMIC_RELAXED);
    do after = function(before);
    while (!__atomic_compare_exchange(p, &before, &after, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return before;
}
#define EMULATOR_ATOMIC inline
#endif

#define EMULATOR_ATOMICS(T) \
    EMULATOR_ATOMIC T atomicAdd(T* p, T v) { return emulator_exchange(p, [=](T x) { return static_cast<T>(x + v); }); } \
    EMULATOR_ATOMIC T atomicSub(T* p, T v) { return emulator_exchange(p, [=](T x) { return static_cast<T>(x - v); }); } \
    EMULATOR_ATOMIC T atomicExch(T* p, T v) { return emulator_exchange(p, EmulatorReplace<T>{v}); } \
    EMULATOR_ATOMIC T atomicMin(T* p, T v) { return emulator_exchange(p, [=](T x) { return v < x ? v : x; }); } \
    EMULATOR_ATOMIC T atomicMax(T* p, T v) { return emulator_exchange(p, [=](T x) { return x < v ? v : x; }); }

#define EMULATOR_INTEGER_ATOMICS(T) \
    EMULATOR_ATOMICS(T) \
    EMULATOR_ATOMIC T atomicAnd(T* p, T v) { return emulator_exchange(p, [=](T x) { return x & v; }); } \
    EMULATOR_ATOMIC T atomicOr(T* p, T v) { return emulator_exchange(p, [=](T x) { return x | v; }); } \
    EMULATOR_ATOMIC T atomicXor(T* p, T v) { return emulator_exchange(p, [=](T x) { return x ^ v; }); } \
    EMULATOR_ATOMIC T atomicCAS(T* p, T expected, T v) { \
        return emulator_exchange(p, [=](T x) { return x == expected ? v : x; }); \
    }

EMULATOR_INTEGER_ATOMICS(int)
EMULATOR_INTEGER_ATOMICS(unsigned)
EMULATOR_INTEGER_ATOMICS(long long)
EMULATOR_INTEGER_ATOMICS(unsigned long long)
EMULATOR_ATOMICS(float)
EMULATOR_ATOMICS(double)

// Counting up to a limit and back to 0, and down from one (CUDA C++ Programming Guide, "Atomic Functions").
EMULATOR_ATOMIC unsigned atomicInc(unsigned* p, unsigned limit) {
    return emulator_exchange(p, [=](unsigned x) { return x >= limit ? 0u : x + 1; });
}
EMULATOR_ATOMIC unsigned atomicDec(unsigned* p, unsigned limit) {
    return emulator_exchange(p, [=](unsigned x) { return x == 0 || x > limit ? limit : x - 1; });
}

#define atomicAdd_block atomicAdd
#define atomicAdd_system atomicAdd
#define atomicCAS_block atomicCAS
#define atomicCAS_system atomicCAS
