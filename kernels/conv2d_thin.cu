// v7 of convolution: with few channels on one side, as in the first layer of a network that sees images, and the last
// of one that makes them. Stride 1, square kernels.
//
// As matrix products these are too thin: three rows fill a twentieth of a tile. But a large kernel meets every
// pixel many times (49 times for 7x7), so here it is the pixels that are kept: a block brings a patch of one
// channel into shared memory, a thread reads some pixels of a row into registers, and multiplies them by
// every kernel element of that row, for several output channels.
//
// The weight gradient is in conv2d_dw_thin.cu.
#include "conv2d.cuh"

#ifndef KERNEL
#define KERNEL 7  // height and width of the kernel
#endif
#ifndef OUTPUTS
#define OUTPUTS 4  // output channels of a thread
#endif

constexpr int taps = KERNEL * KERNEL;
constexpr int beyond = (KERNEL - 1 + 3) / 4 * 4;       // pixels that the last window reaches further, in fours
constexpr int filter_row = (OUTPUTS + 3) / 4 * 4;
constexpr int threads_x = 16, threads_y = 8, pixels = 4;  // pixels of a thread, side by side
constexpr int tile_w = threads_x * pixels, tile_h = threads_y;

// blockIdx: tiles across, tiles down, images times groups of OUTPUTS output channels.
extern "C" __global__ void __launch_bounds__(threads_x * threads_y)
conv2d_thin(const REAL* x, const REAL* weight, const REAL* bias, REAL* y, Conv v, int output_stride, int input_stride,
            bool turned) {
    constexpr int patch_h = tile_h + KERNEL - 1, patch_w = tile_w + beyond;
    __shared__ alignas(16) REAL patch[patch_h][patch_w];
    __shared__ alignas(16) REAL filter[taps][filter_row];

    const int thread = threadIdx.y * threads_x + threadIdx.x, threads = threads_x * threads_y;
    const int parts = (v.out_channels + OUTPUTS - 1) / OUTPUTS;
    const int n = blockIdx.z / parts, first = blockIdx.z % parts * OUTPUTS;
    const int p0 = blockIdx.y * tile_h, q0 = blockIdx.x * tile_w;
    const Image image = {x, v.height, v.width};
    const Filters filters = {weight, output_stride, input_stride, turned};
    REAL sum[OUTPUTS][pixels] = {};

    for (int c = 0; c < v.channels; c++) {
        Place corner = image.place(n * v.channels + c, p0 - v.padding_h, q0 - v.padding_w);
        for (int i = thread; i < patch_h * patch_w; i += threads)
            patch[i / patch_w][i % patch_w] =
                value_at(image.find(corner, image.place(0, i / patch_w, i % patch_w)));
        for (int i = thread; i < taps * filter_row; i += threads) {
            int o = first + i / taps;
            filter[i % taps][i / taps] = o < v.out_channels ? filters(o, c, i % taps, taps) : REAL(0);
        }
        __syncthreads();
        for (int r = 0; r < KERNEL; r++) {
            REAL row[pixels + beyond];
#pragma unroll
            for (int i = 0; i < pixels + beyond; i += 4)
                load_four(reinterpret_cast<REAL(&)[4]>(row[i]), &patch[threadIdx.y + r][threadIdx.x * pixels + i]);
#pragma unroll
            for (int s = 0; s < KERNEL; s++) {
                REAL w[filter_row];
#pragma unroll
                for (int o = 0; o < OUTPUTS; o += 4)
                    load_four(reinterpret_cast<REAL(&)[4]>(w[o]), &filter[r * KERNEL + s][o]);
#pragma unroll
                for (int o = 0; o < OUTPUTS; o++)
#pragma unroll
                    for (int i = 0; i < pixels; i++) sum[o][i] += w[o] * row[i + s];
            }
        }
        __syncthreads();  // before the next channel
    }

    const int p = p0 + threadIdx.y, q = q0 + threadIdx.x * pixels;
    if (p >= v.out_height) return;
#pragma unroll
    for (int o = 0; o < OUTPUTS; o++) {
        if (first + o >= v.out_channels) break;
#pragma unroll
        for (int i = 0; i < pixels; i++) sum[o][i] += bias ? bias[first + o] : REAL(0);
        REAL* to = y + ((n * v.out_channels + first + o) * v.out_height + p) * v.out_width + q;
        if (v.out_width % pixels == 0 && q < v.out_width) {
            store_four(to, sum[o]);
        } else {
#pragma unroll
            for (int i = 0; i < pixels; i++)
                if (q + i < v.out_width) to[i] = sum[o][i];
        }
    }
}
