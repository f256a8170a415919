// Convolution of images, and its two gradients. Each is a matrix product whose matrices are never built: an
// implicit GEMM (M x K times K x N), with these indices:
//
//                    M                 N                        K
//     conv2d         output channels   images, output pixels    input channels, kernel   y = x * w + bias
//     conv2d_dx      input channels    images, input pixels     output channels, kernel  x = y *^T w
//     conv2d_dw      output channels   input channels, kernel   images, output pixels    w = x *^T y
//
//     y[n,o,p,q] = bias[o] + sum over c, r, s of x[n, c, p S + r D - P, q S + s D - P] w[o,c,r,s]
//
// with stride S, dilation D and padding P (each for both directions). Groups of channels are blockIdx.z.
//
// The data gradient with a stride is divided into S x S phases, the pixels of one remainder each, because
// only every S-th kernel element meets a pixel: nothing is multiplied by inserted zeros. The weight gradient sums
// over all pixels of all images, which is long where its result is small, so blocks share the sum out
// and a second pass adds their parts up in a fixed order.
//
// The versions are in conv2d.cu and conv2d_tf32.cu; this file says where their operands lie.
#pragma once

#include "gemm.cuh"

struct Conv {
    int images, channels, height, width;     // of x; channels of one group
    int out_channels, out_height, out_width;  // of y; channels of one group
    int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
    int groups;
};

// A kernel's element: channel, row, column.
struct Tap {
    int channel, r, s;
};

__device__ __forceinline__ Tap tap_of(int number, int rows, int columns) {
    return {number / columns / rows, number / columns % rows, number % columns};
}

// A pixel of one of several images.
struct Pixel {
    int image, h, w;
};

__device__ __forceinline__ Pixel pixel_of(int number, int height, int width) {
    return {number / width / height, number / width % height, number % width};
}

// ---------------------------------------------------------------- two kinds of operands

// One whose elements are where a sum says.
struct Plain {
    using Offset = int;
    const REAL* data;

    __device__ const REAL* find(int line, int step) const { return data + (line + step); }
};

// One of an image's pixels: line and step each contribute to the place and to the coordinates, which may be outside.
struct alignas(16) Place {
    int at, h, w;
};

struct Image {
    using Offset = Place;
    const REAL* data;
    int height, width;

    __device__ const REAL* find(const Place& a, const Place& b) const {
        bool inside = static_cast<unsigned>(a.h + b.h) < height && static_cast<unsigned>(a.w + b.w) < width;
        return inside ? data + (a.at + b.at) : nullptr;
    }
    __device__ Place place(int channel, int h, int w) const { return {(channel * height + h) * width + w, h, w}; }
};

// ---------------------------------------------------------------- with stride 1

// With stride 1 the data gradient is itself a convolution: of y's gradient, by the kernel turned around, with
// the channels exchanged and kernel - 1 - P of padding. What is made for stride 1 computes only that, and
// reads a weight in one way or the other.
struct Filters {
    const REAL* weight;
    int output, input;  // strides, in elements
    bool turned;

    __device__ REAL operator()(int o, int c, int tap, int taps) const {
        return weight[o * output + c * input + (turned ? taps - 1 - tap : tap)];
    }
};

// ---------------------------------------------------------------- conv2d

// Rows of w. Element (o, (c, r, s)).
struct WeightRows : Plain {
    static constexpr bool k_is_inner = true;
    int length;  // of a row

    __device__ int line(int o) const { return o * length; }
    __device__ int step(int k) const { return k; }
};

// The windows of x. Element ((c, r, s), (n, p, q)).
struct Windows : Image {
    static constexpr bool k_is_inner = false;
    Conv v;

    __device__ Place line(int j) const {
        Pixel y = pixel_of(j, v.out_height, v.out_width);
        return place(y.image * v.groups * v.channels, y.h * v.stride_h - v.padding_h, y.w * v.stride_w - v.padding_w);
    }
    __device__ Place step(int k) const {
        Tap tap = tap_of(k, v.kernel_h, v.kernel_w);
        return place(tap.channel, tap.r * v.dilation_h, tap.s * v.dilation_w);
    }
};

// Writes y and adds the bias. Rows are output channels, columns (n, p, q).
struct StoreOutput {
    REAL* y;
    const REAL* bias;
    Conv v;

    __device__ void operator()(int o, int j, REAL sum) const {
        int pixels = v.out_height * v.out_width, n = j / pixels, pixel = j % pixels;
        y[(n * v.groups * v.out_channels + o) * pixels + pixel] = bias ? sum + bias[o] : sum;
    }
};

// ---------------------------------------------------------------- conv2d_dx

// The kernel elements that reach the pixels of one phase, along one direction: first, first + step, ...
struct Reach {
    int first, step, count;
};

__device__ __forceinline__ Reach reach_of(int phase, int kernel, int stride, int padding, int dilation) {
    Reach reach = {0, 0, 0};
    for (int r = 0; r < kernel; r++) {
        if ((phase + padding - r * dilation) % stride) continue;
        if (reach.count == 0) reach.first = r;
        if (reach.count == 1) reach.step = r - reach.first;
        reach.count++;
    }
    return reach;
}

// The pixels h = phase_h + i S, w = phase_w + j S.
struct Phase {
    int h, w, height, width;  // the phase, and how many pixels it has each way
    Reach rows, columns;

    // The kernel element that has this number among those that reach the phase.
    __device__ Tap tap(int number) const {
        Tap tap = tap_of(number, rows.count, columns.count);
        return {tap.channel, rows.first + tap.r * rows.step, columns.first + tap.s * columns.step};
    }
};

__device__ __forceinline__ Phase phase_of(const Conv& v, int number) {
    Phase f;
    f.h = number / v.stride_w;
    f.w = number % v.stride_w;
    f.height = f.h < v.height ? (v.height - f.h - 1) / v.stride_h + 1 : 0;
    f.width = f.w < v.width ? (v.width - f.w - 1) / v.stride_w + 1 : 0;
    f.rows = reach_of(f.h, v.kernel_h, v.stride_h, v.padding_h, v.dilation_h);
    f.columns = reach_of(f.w, v.kernel_w, v.stride_w, v.padding_w, v.dilation_w);
    return f;
}

// Columns of w. Element (c, (o, r, s)).
struct WeightColumns : Plain {
    static constexpr bool k_is_inner = true;
    Conv v;
    Phase f;

    __device__ int line(int c) const { return c * v.kernel_h * v.kernel_w; }
    __device__ int step(int k) const {
        Tap tap = f.tap(k);
        return (tap.channel * v.channels * v.kernel_h + tap.r) * v.kernel_w + tap.s;
    }
};

// The outputs that a pixel has gone into. Element ((o, r, s), (n, i, j)).
struct Reached : Image {
    static constexpr bool k_is_inner = false;
    Conv v;
    Phase f;

    __device__ Place line(int j) const {
        Pixel x = pixel_of(j, f.height, f.width);
        return place(x.image * v.groups * v.out_channels, x.h, x.w);
    }
    // Pixel h = phase_h + i S has gone into output row (h + P - r D) / S = i + (phase_h + P - r D) / S.
    __device__ Place step(int k) const {
        Tap tap = f.tap(k);
        return place(tap.channel, (f.h + v.padding_h - tap.r * v.dilation_h) / v.stride_h,
                     (f.w + v.padding_w - tap.s * v.dilation_w) / v.stride_w);
    }
};

struct StoreInput {
    REAL* x;
    Conv v;
    Phase f;

    __device__ void operator()(int c, int j, REAL sum) const {
        Pixel pixel = pixel_of(j, f.height, f.width);
        int h = f.h + pixel.h * v.stride_h, w = f.w + pixel.w * v.stride_w;
        x[((pixel.image * v.groups * v.channels + c) * v.height + h) * v.width + w] = sum;
    }
};

// ---------------------------------------------------------------- conv2d_dw

// What flowed into the outputs. Element (o, (n, p, q)).
struct GradRows : Plain {
    static constexpr bool k_is_inner = true;
    Conv v;

    __device__ int line(int o) const { return o * v.out_height * v.out_width; }
    __device__ int step(int k) const {
        int pixels = v.out_height * v.out_width;
        return k / pixels * v.groups * v.out_channels * pixels + k % pixels;
    }
};

// For one kernel element, what it has met. Element ((n, p, q), (c, r, s)).
struct Met : Image {
    static constexpr bool k_is_inner = true;
    Conv v;

    __device__ Place line(int j) const {
        Tap tap = tap_of(j, v.kernel_h, v.kernel_w);
        return place(tap.channel, tap.r * v.dilation_h - v.padding_h, tap.s * v.dilation_w - v.padding_w);
    }
    __device__ Place step(int k) const {
        Pixel y = pixel_of(k, v.out_height, v.out_width);
        return place(y.image * v.groups * v.channels, y.h * v.stride_h, y.w * v.stride_w);
    }
};

struct StorePart {
    REAL* part;
    int columns;

    __device__ void operator()(int o, int j, REAL sum) const { part[o * columns + j] = sum; }
};

// ---------------------------------------------------------------- the kernels

#define CONV2D(name, ...) \
    extern "C" __global__ void GEMM_KERNEL((__VA_ARGS__::threads)) \
    name(const REAL* x, const REAL* weight, const REAL* bias, REAL* y, Conv v) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles<WeightRows, Windows> tiles; \
        int group = blockIdx.z, k = v.channels * v.kernel_h * v.kernel_w; \
        WeightRows rows = {{weight + group * v.out_channels * k}, k}; \
        Windows columns = {{x + group * v.channels * v.height * v.width, v.height, v.width}, v}; \
        StoreOutput store = {y + group * v.out_channels * v.out_height * v.out_width, \
                             bias ? bias + group * v.out_channels : nullptr, v}; \
        Algorithm::run(tiles, v.out_channels, v.images * v.out_height * v.out_width, 0, k, rows, columns, store); \
    }

// blockIdx.z counts the groups within each phase.
#define CONV2D_DX(name, ...) \
    extern "C" __global__ void GEMM_KERNEL((__VA_ARGS__::threads)) \
    name(const REAL* grad, const REAL* weight, REAL* x, Conv v) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles<WeightColumns, Reached> tiles; \
        int group = blockIdx.z % v.groups; \
        Phase f = phase_of(v, blockIdx.z / v.groups); \
        if (f.height == 0 || f.width == 0) return; /* an image smaller than the stride */ \
        WeightColumns rows = {{weight + group * v.out_channels * v.channels * v.kernel_h * v.kernel_w}, v, f}; \
        Reached columns = {{grad + group * v.out_channels * v.out_height * v.out_width, v.out_height, v.out_width}, \
                           v, f}; \
        StoreInput store = {x + group * v.channels * v.height * v.width, v, f}; \
        int k = v.out_channels * f.rows.count * f.columns.count; \
        Algorithm::run(tiles, v.channels, v.images * f.height * f.width, 0, k, rows, columns, store); \
    }

// blockIdx.z counts the groups within each part of the sum; `parts` holds one weight for each part.
#define CONV2D_DW(name, ...) \
    extern "C" __global__ void GEMM_KERNEL((__VA_ARGS__::threads)) \
    name(const REAL* x, const REAL* grad, REAL* parts, Conv v, int pixels_in_part) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles<GradRows, Met> tiles; \
        int group = blockIdx.z % v.groups, part = blockIdx.z / v.groups; \
        int taps = v.channels * v.kernel_h * v.kernel_w; \
        int k = v.images * v.out_height * v.out_width, begin = part * pixels_in_part; \
        GradRows rows = {{grad + group * v.out_channels * v.out_height * v.out_width}, v}; \
        Met columns = {{x + group * v.channels * v.height * v.width, v.height, v.width}, v}; \
        StorePart store = {parts + (part * v.groups + group) * v.out_channels * taps, taps}; \
        Algorithm::run(tiles, v.out_channels, taps, begin, min(begin + pixels_in_part, k), rows, columns, store); \
    }
