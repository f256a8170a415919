// Elementwise arithmetic and comparison: y = f(a, b), for real numbers and for integers.
//
// An operand is an array, or one number for all elements where its pointer is null.
#include "common.cuh"

__device__ __forceinline__ REAL operand(const REAL* array, REAL number, int offset) {
    return array ? array[offset] : number;
}

#define BINARY(name, Result, expression) \
    extern "C" __global__ void name(const REAL* a_array, REAL a_number, const REAL* b_array, REAL b_number, \
                                    Result* y, Layout layout, int count) { \
        FOR_EACH(i, count) { \
            Offsets at = offsets(layout, i); \
            REAL a = operand(a_array, a_number, at.of[0]); \
            REAL b = operand(b_array, b_number, at.of[1]); \
            y[i] = (expression); \
        } \
    }

BINARY(add, REAL, a + b)
BINARY(sub, REAL, a - b)
BINARY(mul, REAL, a * b)
BINARY(maximum, REAL, a > b || a != a ? a : b)  // NaN wins, as in NumPy
BINARY(minimum, REAL, a < b || a != a ? a : b)

BINARY(eq, bool, a == b)
BINARY(ne, bool, a != b)
BINARY(lt, bool, a < b)
BINARY(le, bool, a <= b)
BINARY(gt, bool, a > b)
BINARY(ge, bool, a >= b)

UNARY(neg, -x)
UNARY(abs_, x < 0 ? -x : x)
UNARY(sign, x > 0 ? REAL(1) : x < 0 ? REAL(-1) : x)  // of 0 and of NaN, itself
UNARY(copy, x)  // to contiguous memory
UNARY(relu, x > 0 || x != x ? x : REAL(0))

// `a` where the condition holds, `b` elsewhere.
extern "C" __global__ void where(const bool* condition, const REAL* a_array, REAL a_number, const REAL* b_array,
                                 REAL b_number, REAL* y, Layout layout, int count) {
    FOR_EACH(i, count) {
        Offsets at = offsets(layout, i);
        y[i] = condition[at.of[0]] ? operand(a_array, a_number, at.of[1]) : operand(b_array, b_number, at.of[2]);
    }
}
