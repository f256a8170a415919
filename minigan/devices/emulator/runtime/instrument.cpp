// The functions that a compiler and our headers make an instrumented kernel call.
#ifdef EMULATOR_CHECK

#include "checker.h"
#include "findings.h"

#include <cstdio>
#include <cstring>

using emulator::check::access;
using emulator::check::Kind;

#define KERNEL_API extern "C" __attribute__((visibility("default")))
#define WHERE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

// ---------------------------------------------------------------- loads and stores

// Put in by -fsanitize=thread.
#define ACCESS(name, size) \
    KERNEL_API void __tsan_read##name(void* p) { access(p, size, Kind::read, WHERE); } \
    KERNEL_API void __tsan_write##name(void* p) { access(p, size, Kind::write, WHERE); }
ACCESS(1, 1)
ACCESS(2, 2)
ACCESS(4, 4)
ACCESS(8, 8)
ACCESS(16, 16)

// Structures of other sizes, or less aligned than their size would have it: in pieces of at most 4 bytes.
static void access_range(char* p, size_t size, Kind kind, uintptr_t pc) {
    for (size_t done = 0; done < size;) {
        size_t piece = size - done >= 4 && (reinterpret_cast<uintptr_t>(p) + done) % 4 == 0 ? 4 : 1;
        access(p + done, piece, kind, pc);
        done += piece;
    }
}
KERNEL_API void __tsan_read_range(void* p, size_t n) { access_range(static_cast<char*>(p), n, Kind::read, WHERE); }
KERNEL_API void __tsan_write_range(void* p, size_t n) { access_range(static_cast<char*>(p), n, Kind::write, WHERE); }

#define UNALIGNED_ACCESS(size) \
    KERNEL_API void __tsan_unaligned_read##size(char* p) { access_range(p, size, Kind::read, WHERE); } \
    KERNEL_API void __tsan_unaligned_write##size(char* p) { access_range(p, size, Kind::write, WHERE); }
UNALIGNED_ACCESS(2)
UNALIGNED_ACCESS(4)
UNALIGNED_ACCESS(8)
UNALIGNED_ACCESS(16)

// Calls of the C library's functions, which no compiler instruments (language.h).
KERNEL_API void* emulator_memset(char* to, int value, size_t n) {
    access_range(to, n, Kind::write, WHERE);
    return memset(to, value, n);
}
KERNEL_API void* emulator_memcpy(char* to, char* from, size_t n) {
    access_range(from, n, Kind::read, WHERE);
    access_range(to, n, Kind::write, WHERE);
    return memmove(to, from, n);
}

KERNEL_API void __tsan_init() {}
KERNEL_API void __tsan_func_entry(void*) {}
KERNEL_API void __tsan_func_exit() {}
KERNEL_API void __tsan_vptr_update(void**, void*) {}
KERNEL_API void __tsan_vptr_read(void**) {}

// Atomic operations that a kernel makes with the compiler's own functions (__atomic_fetch_add, ...).
// There is one thread of the host here, so plain arithmetic is atomic.
#define EXCHANGE(bits, T, name, expression) \
    KERNEL_API T __tsan_atomic##bits##_##name(volatile T* p, T v, int) { \
        access(const_cast<T*>(p), sizeof(T), Kind::atomic, WHERE); \
        T x = *p; \
        *p = (expression); \
        return x; \
    }
#define COMPARE_EXCHANGE(bits, T, name) \
    KERNEL_API int __tsan_atomic##bits##_##name(volatile T* p, T* expected, T v, int, int) { \
        access(const_cast<T*>(p), sizeof(T), Kind::atomic, WHERE); \
        bool same = *p == *expected; \
        if (same) *p = v; \
        else *expected = *p; \
        return same; \
    }
#define ATOMICS(bits, T) \
    KERNEL_API T __tsan_atomic##bits##_load(const volatile T* p, int) { \
        access(const_cast<T*>(p), sizeof(T), Kind::atomic_read, WHERE); \
        return *p; \
    } \
    KERNEL_API void __tsan_atomic##bits##_store(volatile T* p, T v, int) { \
        access(const_cast<T*>(p), sizeof(T), Kind::atomic_write, WHERE); \
        *p = v; \
    } \
    EXCHANGE(bits, T, exchange, v) \
    EXCHANGE(bits, T, fetch_add, x + v) \
    EXCHANGE(bits, T, fetch_sub, x - v) \
    EXCHANGE(bits, T, fetch_and, x & v) \
    EXCHANGE(bits, T, fetch_or, x | v) \
    EXCHANGE(bits, T, fetch_xor, x ^ v) \
    EXCHANGE(bits, T, fetch_nand, ~(x & v)) \
    COMPARE_EXCHANGE(bits, T, compare_exchange_strong) \
    COMPARE_EXCHANGE(bits, T, compare_exchange_weak)
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
KERNEL_API void __tsan_atomic_thread_fence(int) { emulator::check::fence(); }
KERNEL_API void __tsan_atomic_signal_fence(int) {}

// ---------------------------------------------------------------- what our headers call

KERNEL_API void emulator_atomic(void* p, int size, int only_writes, const void* where) {
    access(p, size, only_writes ? Kind::atomic_write : Kind::atomic, reinterpret_cast<uintptr_t>(where));
}
KERNEL_API void emulator_fence() { emulator::check::fence(); }

// ---------------------------------------------------------------- indices

// Put in by -fsanitize=bounds where an index may leave the array that it is for; the layout of what it
// passes is that of GCC's libubsan.
struct SourcePlace {
    const char* file;
    uint32_t line, column;
};
struct TypeName {
    uint16_t kind, info;
    char name[1];
};
struct BadIndex {
    SourcePlace place;
    const TypeName *array, *index;
};
KERNEL_API void __ubsan_handle_out_of_bounds(BadIndex* data, intptr_t index) {
    char place[300];
    snprintf(place, sizeof place, "%s:%u", data->place.file, data->place.line);
    emulator::check::report("out-of-bounds", 0, 0, place, "index %ld into an array of type %s",
                            static_cast<long>(index), data->array->name);
}

#endif
