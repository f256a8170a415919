// float4 and its relatives. Those of four elements are copied as one vector, so that an access which
// is 16 bytes wide on the GPU is 16 bytes wide here too, where the checker counts it.
#pragma once

#define EMULATOR_VECTOR1(name, T) \
    struct name { T x; }; \
    inline name make_##name(T x) { return {x}; }

#define EMULATOR_VECTOR2(name, T) \
    struct alignas(2 * sizeof(T)) name { T x, y; }; \
    inline name make_##name(T x, T y) { return {x, y}; }

#define EMULATOR_VECTOR3(name, T) \
    struct name { T x, y, z; }; \
    inline name make_##name(T x, T y, T z) { return {x, y, z}; }

#define EMULATOR_VECTOR4(name, T, alignment) \
    struct alignas(alignment) name { \
        typedef T Whole __attribute__((vector_size(4 * sizeof(T)))); \
        union { \
            struct { T x, y, z, w; }; \
            Whole whole; \
        }; \
        name() = default; \
        constexpr name(T x_, T y_, T z_, T w_) : x(x_), y(y_), z(z_), w(w_) {} \
        name(const name& other) { whole = other.whole; } \
        name& operator=(const name& other) { whole = other.whole; return *this; } \
    }; \
    inline name make_##name(T x, T y, T z, T w) { return name(x, y, z, w); }

#define EMULATOR_VECTORS(prefix, T) \
    EMULATOR_VECTOR1(prefix##1, T) \
    EMULATOR_VECTOR2(prefix##2, T) \
    EMULATOR_VECTOR3(prefix##3, T) \
    EMULATOR_VECTOR4(prefix##4, T, (4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16))

EMULATOR_VECTORS(char, signed char)
EMULATOR_VECTORS(uchar, unsigned char)
EMULATOR_VECTORS(short, short)
EMULATOR_VECTORS(ushort, unsigned short)
EMULATOR_VECTORS(int, int)
EMULATOR_VECTORS(uint, unsigned)
EMULATOR_VECTORS(longlong, long long)
EMULATOR_VECTORS(ulonglong, unsigned long long)
EMULATOR_VECTORS(float, float)
EMULATOR_VECTORS(double, double)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};
