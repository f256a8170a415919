// Elementwise functions of real numbers, activations, and the fused gradients of activations.
#include "common.cuh"

// With a number that the operation is set to, such as a slope.
#define UNARY_WITH(name, setting, expression) \
    extern "C" __global__ void name(const REAL* x_array, REAL setting, REAL* y, Layout layout, int count) { \
        FOR_EACH(i, count) { \
            REAL x = x_array[offsets(layout, i).of[0]]; \
            y[i] = (expression); \
        } \
    }

// Of what flows in, `grad`, and of an argument or a result of the operation, `v`; or of any two operands.
// As in arithmetic.cu, an operand may be one number.
#define BINARY(name, u, v, expression) \
    extern "C" __global__ void name(const REAL* u##_array, REAL u##_number, const REAL* v##_array, \
                                    REAL v##_number, REAL* result, Layout layout, int count) { \
        FOR_EACH(i, count) { \
            Offsets at = offsets(layout, i); \
            REAL u = u##_array ? u##_array[at.of[0]] : u##_number; \
            REAL v = v##_array ? v##_array[at.of[1]] : v##_number; \
            result[i] = (expression); \
        } \
    }

// exp(-|x|) is never above 1, so nothing overflows, on either side.
__device__ __forceinline__ REAL logistic(REAL x) {
    REAL e = exp(x < 0 ? x : -x);
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

__device__ __forceinline__ REAL log_1_plus_exp(REAL x) {
    return (x > 0 || x != x ? x : REAL(0)) + log1p(exp(x < 0 ? x : -x));
}

// ---------------------------------------------------------------- functions

BINARY(div_, a, b, a / b)
BINARY(pow_, a, b, pow(a, b))
BINARY(share_of_larger, a, b, a > b ? REAL(1) : a == b ? REAL(0.5) : REAL(0))
UNARY(exp_, exp(x))
UNARY(log_, log(x))
UNARY(sqrt_, sqrt(x))
UNARY(sin_, sin(x))
UNARY(cos_, cos(x))
UNARY(tanh_, tanh(x))
UNARY(sigmoid, logistic(x))
UNARY(softplus, log_1_plus_exp(x))
UNARY_WITH(leaky_relu, slope, x > 0 ? x : slope * x)

// ---------------------------------------------------------------- gradients of activations

BINARY(relu_grad, grad, y, y <= 0 ? REAL(0) : grad)  // a NaN in y lets the gradient through
BINARY(sigmoid_grad, grad, y, grad * y * (1 - y))
BINARY(tanh_grad, grad, y, grad * (1 - y * y))

extern "C" __global__ void leaky_relu_grad(const REAL* grad_array, REAL grad_number, const REAL* x_array,
                                           REAL x_number, REAL slope, REAL* y, Layout layout, int count) {
    FOR_EACH(i, count) {
        Offsets at = offsets(layout, i);
        REAL grad = grad_array ? grad_array[at.of[0]] : grad_number;
        REAL x = x_array ? x_array[at.of[1]] : x_number;
        y[i] = x > 0 ? grad : slope * grad;
    }
}

// ---------------------------------------------------------------- limits

// Infinite bounds are no bounds. NaN stays.
extern "C" __global__ void clip(const REAL* x_array, REAL low, REAL high, REAL* y, Layout layout, int count) {
    FOR_EACH(i, count) {
        REAL x = x_array[offsets(layout, i).of[0]];
        y[i] = x < low ? low : x > high ? high : x;
    }
}

extern "C" __global__ void is_within(const REAL* x_array, REAL low, REAL high, bool* y, Layout layout, int count) {
    FOR_EACH(i, count) {
        REAL x = x_array[offsets(layout, i).of[0]];
        y[i] = x >= low && x <= high;
    }
}
