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
//     v1_naive      a thread for each element of the result
//     v3_registers  tiles in shared memory, several elements for each thread
//
// The data gradient with a stride is divided into S x S phases, the pixels of one remainder each, because
// only every S-th kernel element meets a pixel: nothing is multiplied by inserted zeros. The weight gradient sums
// over all pixels of all images, which is long where its result is small, so blocks share the sum out
// and a second pass adds their parts up in a fixed order.
#include "gemm.cuh"

struct Conv {
    int images, channels, height, width;     // of x; channels of one group
    int out_channels, out_height, out_width;  // of y; channels of one group
    int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
    int groups;
};

// ---------------------------------------------------------------- where elements lie

// An image's pixel, taken apart: `at` is the place of its first channel, h and w its coordinates (of the
// pixel itself, or of the window's corner).
struct Pixel {
    int at, h, w;
};

// conv2d: rows of w. Element (o, (c, r, s)).
struct WeightRows {
    static constexpr bool k_is_inner = true;
    const REAL* weight;
    int length;  // of a row

    __device__ const REAL* row(int o) const { return weight + o * length; }
    __device__ REAL load(const REAL* row, int k) const { return row[k]; }
};

// conv2d: the windows of x. Element ((c, r, s), (n, p, q)).
struct Windows {
    static constexpr bool k_is_inner = false;
    const REAL* x;
    Conv v;

    __device__ Pixel column(int j) const {
        int q = j % v.out_width, p = j / v.out_width % v.out_height, n = j / v.out_width / v.out_height;
        return {n * v.groups * v.channels * v.height * v.width, p * v.stride_h - v.padding_h,
                q * v.stride_w - v.padding_w};
    }
    __device__ REAL load(const Pixel& corner, int k) const {
        int s = k % v.kernel_w, r = k / v.kernel_w % v.kernel_h, c = k / v.kernel_w / v.kernel_h;
        int h = corner.h + r * v.dilation_h, w = corner.w + s * v.dilation_w;
        if (h < 0 || h >= v.height || w < 0 || w >= v.width) return 0;
        return x[corner.at + (c * v.height + h) * v.width + w];
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

// The kernel elements that reach the pixels of one phase, along one direction: first, first + step, ...
struct Taps {
    int first, step, count;
};

__device__ __forceinline__ Taps taps_of(int phase, int kernel, int stride, int padding, int dilation) {
    Taps taps = {0, 0, 0};
    for (int r = 0; r < kernel; r++) {
        if ((phase + padding - r * dilation) % stride) continue;
        if (taps.count == 0) taps.first = r;
        if (taps.count == 1) taps.step = r - taps.first;
        taps.count++;
    }
    return taps;
}

// One phase of conv2d_dx: the pixels h = phase_h + i S, w = phase_w + j S.
struct Phase {
    int h, w, height, width;  // the phase, and how many pixels it has each way
    Taps rows, columns;
};

__device__ __forceinline__ Phase phase_of(const Conv& v, int number) {
    Phase f;
    f.h = number / v.stride_w;
    f.w = number % v.stride_w;
    f.height = f.h < v.height ? (v.height - f.h - 1) / v.stride_h + 1 : 0;
    f.width = f.w < v.width ? (v.width - f.w - 1) / v.stride_w + 1 : 0;
    f.rows = taps_of(f.h, v.kernel_h, v.stride_h, v.padding_h, v.dilation_h);
    f.columns = taps_of(f.w, v.kernel_w, v.stride_w, v.padding_w, v.dilation_w);
    return f;
}

// conv2d_dx: columns of w. Element (c, (o, r, s)).
struct WeightColumns {
    static constexpr bool k_is_inner = true;
    const REAL* weight;
    Conv v;
    Phase f;

    __device__ int row(int c) const { return c; }
    __device__ REAL load(int c, int k) const {
        int s = k % f.columns.count, r = k / f.columns.count % f.rows.count, o = k / f.columns.count / f.rows.count;
        int tap_r = f.rows.first + r * f.rows.step, tap_s = f.columns.first + s * f.columns.step;
        return weight[((o * v.channels + c) * v.kernel_h + tap_r) * v.kernel_w + tap_s];
    }
};

// conv2d_dx: the outputs that a pixel has gone into. Element ((o, r, s), (n, i, j)).
struct Reached {
    static constexpr bool k_is_inner = false;
    const REAL* grad;
    Conv v;
    Phase f;

    __device__ Pixel column(int j) const {
        int along = j % f.width, down = j / f.width % f.height, n = j / f.width / f.height;
        return {n * v.groups * v.out_channels * v.out_height * v.out_width, f.h + down * v.stride_h + v.padding_h,
                f.w + along * v.stride_w + v.padding_w};
    }
    __device__ REAL load(const Pixel& pixel, int k) const {
        int s = k % f.columns.count, r = k / f.columns.count % f.rows.count, o = k / f.columns.count / f.rows.count;
        int down = pixel.h - (f.rows.first + r * f.rows.step) * v.dilation_h;
        int along = pixel.w - (f.columns.first + s * f.columns.step) * v.dilation_w;
        int p = down / v.stride_h, q = along / v.stride_w;
        if (down < 0 || along < 0 || p >= v.out_height || q >= v.out_width) return 0;
        return grad[pixel.at + (o * v.out_height + p) * v.out_width + q];
    }
};

struct StoreInput {
    REAL* x;
    Conv v;
    Phase f;

    __device__ void operator()(int c, int j, REAL sum) const {
        int along = j % f.width, down = j / f.width % f.height, n = j / f.width / f.height;
        int h = f.h + down * v.stride_h, w = f.w + along * v.stride_w;
        x[((n * v.groups * v.channels + c) * v.height + h) * v.width + w] = sum;
    }
};

// conv2d_dw: what flowed into the outputs. Element (o, (n, p, q)).
struct GradRows {
    static constexpr bool k_is_inner = true;
    const REAL* grad;
    Conv v;

    __device__ int row(int o) const { return o; }
    __device__ REAL load(int o, int k) const {
        int pixels = v.out_height * v.out_width;
        return grad[(k / pixels * v.groups * v.out_channels + o) * pixels + k % pixels];
    }
};

// conv2d_dw: for one kernel element, what it has met. Element ((n, p, q), (c, r, s)).
struct Met {
    static constexpr bool k_is_inner = true;
    const REAL* x;
    Conv v;

    // Here `at` is the place of the channel.
    __device__ Pixel column(int j) const {
        int s = j % v.kernel_w, r = j / v.kernel_w % v.kernel_h, c = j / v.kernel_w / v.kernel_h;
        return {c * v.height * v.width, r * v.dilation_h - v.padding_h, s * v.dilation_w - v.padding_w};
    }
    __device__ REAL load(const Pixel& tap, int k) const {
        int q = k % v.out_width, p = k / v.out_width % v.out_height, n = k / v.out_width / v.out_height;
        int h = tap.h + p * v.stride_h, w = tap.w + q * v.stride_w;
        if (h < 0 || h >= v.height || w < 0 || w >= v.width) return 0;
        return x[n * v.groups * v.channels * v.height * v.width + tap.at + h * v.width + w];
    }
};

struct StorePart {
    REAL* part;
    int columns;

    __device__ void operator()(int o, int j, REAL sum) const { part[o * columns + j] = sum; }
};

// ---------------------------------------------------------------- the kernels

#define CONV2D(name, ...) \
    extern "C" __global__ void name(const REAL* x, const REAL* weight, const REAL* bias, REAL* y, Conv v) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles tiles; \
        int group = blockIdx.z, k = v.channels * v.kernel_h * v.kernel_w; \
        WeightRows rows = {weight + group * v.out_channels * k, k}; \
        Windows columns = {x + group * v.channels * v.height * v.width, v}; \
        StoreOutput store = {y + group * v.out_channels * v.out_height * v.out_width, \
                             bias ? bias + group * v.out_channels : nullptr, v}; \
        Algorithm::run(tiles, v.out_channels, v.images * v.out_height * v.out_width, 0, k, rows, columns, store); \
    }

// blockIdx.z counts the groups within each phase.
#define CONV2D_DX(name, ...) \
    extern "C" __global__ void name(const REAL* grad, const REAL* weight, REAL* x, Conv v) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles tiles; \
        int group = blockIdx.z % v.groups; \
        Phase f = phase_of(v, blockIdx.z / v.groups); \
        if (f.height == 0 || f.width == 0) return; /* an image smaller than the stride */ \
        WeightColumns rows = {weight + group * v.out_channels * v.channels * v.kernel_h * v.kernel_w, v, f}; \
        Reached columns = {grad + group * v.out_channels * v.out_height * v.out_width, v, f}; \
        StoreInput store = {x + group * v.channels * v.height * v.width, v, f}; \
        int k = v.out_channels * f.rows.count * f.columns.count; \
        Algorithm::run(tiles, v.channels, v.images * f.height * f.width, 0, k, rows, columns, store); \
    }

// blockIdx.z counts the groups within each part of the sum; `parts` holds one weight for each part.
#define CONV2D_DW(name, ...) \
    extern "C" __global__ void name(const REAL* x, const REAL* grad, REAL* parts, Conv v, int pixels_in_part) { \
        using Algorithm = __VA_ARGS__; \
        __shared__ Algorithm::Tiles tiles; \
        int group = blockIdx.z % v.groups, part = blockIdx.z / v.groups; \
        int columns_count = v.channels * v.kernel_h * v.kernel_w; \
        int k = v.images * v.out_height * v.out_width, begin = part * pixels_in_part; \
        GradRows rows = {grad + group * v.out_channels * v.out_height * v.out_width, v}; \
        Met columns = {x + group * v.channels * v.height * v.width, v}; \
        StorePart store = {parts + (part * v.groups + group) * v.out_channels * columns_count, columns_count}; \
        Algorithm::run(tiles, v.out_channels, columns_count, begin, min(begin + pixels_in_part, k), rows, columns, store); \
    }

CONV2D(conv2d_v1, GemmNaive)
CONV2D(conv2d_v2, GemmShared<16>)
CONV2D(conv2d_v3, GemmRegisters<64, 64, 16, 4, 4>)

CONV2D_DX(conv2d_dx_v1, GemmNaive)
CONV2D_DX(conv2d_dx_v2, GemmShared<16>)
CONV2D_DX(conv2d_dx_v3, GemmRegisters<64, 64, 16, 4, 4>)

CONV2D_DW(conv2d_dw_v1, GemmNaive)
CONV2D_DW(conv2d_dw_v2, GemmShared<16>)
CONV2D_DW(conv2d_dw_v3, GemmRegisters<64, 64, 16, 4, 4>)

// The second pass of conv2d_dw: the parts of the sum added up, always in the same order.
extern "C" __global__ void sum_parts(const REAL* parts, REAL* result, int count, int part_count) {
    FOR_EACH(i, count) {
        REAL sum = 0;
        for (int part = 0; part < part_count; part++) sum += parts[part * count + i];
        result[i] = sum;
    }
}
