// What all kernels share: the number type they are compiled for, and arrays with strides.
#pragma once

// The type of the numbers: float, or double where gradients are verified by finite differences.
// Arithmetic that makes sense for integers (arithmetic.cu) is compiled for those as well.
#ifndef REAL
#define REAL float
#endif

// From here on REAL is one word, so that REAL(0) is a number also for types of two words (unsigned char).
typedef REAL real_number;
#undef REAL
#define REAL real_number

// Four numbers at once, from an address that is a multiple of 16 bytes: one access for floats, two for doubles.
__device__ __forceinline__ void load_four(float (&to)[4], const float* from) {
    float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
__device__ __forceinline__ void load_four(double (&to)[4], const double* from) {
    double2 v = reinterpret_cast<const double2*>(from)[0], w = reinterpret_cast<const double2*>(from)[1];
    to[0] = v.x, to[1] = v.y, to[2] = w.x, to[3] = w.y;
}
__device__ __forceinline__ void store_four(float* to, const float (&from)[4]) {
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
}
__device__ __forceinline__ void store_four(double* to, const double (&from)[4]) {
    reinterpret_cast<double2*>(to)[0] = make_double2(from[0], from[1]);
    reinterpret_cast<double2*>(to)[1] = make_double2(from[2], from[3]);
}

// Where the operands of an elementwise operation lie. The host has joined axes that can be walked as one, so
// contiguous arrays of one shape have rank 1. An operand that is repeated along an axis has stride 0 there.
constexpr int max_rank = 8;
constexpr int max_operands = 3;

struct Layout {
    int rank;
    int size[max_rank];
    int stride[max_operands][max_rank];  // in elements
    int start[max_operands];             // of the first element: not 0 where a stride is negative
};

// The offsets at which the operands have element i, counted in C order of the sizes.
struct Offsets {
    int of[max_operands];
};

__device__ __forceinline__ Offsets offsets(const Layout& layout, int i) {
    Offsets o;
    for (int k = 0; k < max_operands; k++) o.of[k] = layout.start[k];
    for (int axis = layout.rank - 1; axis > 0; axis--) {
        int along = i % layout.size[axis];
        i /= layout.size[axis];
        for (int k = 0; k < max_operands; k++) o.of[k] += along * layout.stride[k][axis];
    }
    for (int k = 0; k < max_operands; k++) o.of[k] += i * layout.stride[k][0];
    return o;
}

// Each thread of the grid takes every so-many-th element, so that any grid covers any count.
#define FOR_EACH(i, count) \
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += gridDim.x * blockDim.x)

// A kernel that applies one function to every element: y = f(x).
#define UNARY(name, expression) \
    extern "C" __global__ void name(const REAL* x_array, REAL* y, Layout layout, int count) { \
        FOR_EACH(i, count) { \
            REAL x = x_array[offsets(layout, i).of[0]]; \
            y[i] = (expression); \
        } \
    }
