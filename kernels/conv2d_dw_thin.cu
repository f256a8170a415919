// v7 of convolution's weight gradient: with few output channels, as in the last layer of a network that makes images.
//
//     w[o,c,r,s] = sum over n, p, q of grad[n,o,p,q] x[n, c, p + r - P, q + s - P]       stride 1, square kernels
//
// As in conv2d_thin.cu it is the pixels that are kept: each is met KERNEL x KERNEL times. A lane walks along a
// row of pixels and sums one row of the kernel for all output channels, in registers; at the end the
// lanes of a warp add up their rows, and sum_parts of conv2d.cu the stripes and images.
#include "conv2d.cuh"

#ifndef KERNEL
#define KERNEL 7  // height and width of the kernel
#endif
#ifndef OUTPUTS
#define OUTPUTS 4  // output channels, all of them
#endif

constexpr int rows = 32, columns = 32, step = 4;  // a lane has a row of the stripe, and takes `step` pixels at a time

// A block takes one input channel and a stripe of rows of one image, a warp one row of the kernel. All
// output channels are summed at once. parts[blockIdx.y][out_channels][channels][kernel][kernel].
extern "C" __global__ void __launch_bounds__(32 * KERNEL)
conv2d_dw_thin(const REAL* x, const REAL* grad, REAL* parts, Conv v) {
    __shared__ REAL patch[rows + KERNEL - 1][columns + KERNEL | 1];  // rows of odd length begin in different banks
    __shared__ REAL flow[OUTPUTS][rows][columns + 1];

    const int c = blockIdx.x, stripes = (v.out_height + rows - 1) / rows;
    const int n = blockIdx.y / stripes, p0 = blockIdx.y % stripes * rows;
    const int r = threadIdx.x / 32, lane = threadIdx.x % 32;
    const Image image = {x, v.height, v.width}, outputs = {grad, v.out_height, v.out_width};
    REAL sum[OUTPUTS][KERNEL] = {};

    for (int q0 = 0; q0 < v.out_width; q0 += columns) {
        Place corner = image.place(n * v.channels + c, p0 - v.padding_h, q0 - v.padding_w);
        constexpr int patch_h = rows + KERNEL - 1, patch_w = columns + KERNEL - 1;
        for (int i = threadIdx.x; i < patch_h * patch_w; i += 32 * KERNEL)
            patch[i / patch_w][i % patch_w] =
                value_at(image.find(corner, image.place(0, i / patch_w, i % patch_w)));
        for (int i = threadIdx.x; i < OUTPUTS * rows * columns; i += 32 * KERNEL) {
            Pixel pixel = pixel_of(i, rows, columns);
            const REAL* from = outputs.find(outputs.place(n * OUTPUTS + pixel.image, p0, q0),
                                            outputs.place(0, pixel.h, pixel.w));
            flow[pixel.image][pixel.h][pixel.w] = value_at(from);
        }
        __syncthreads();
        for (int q = 0; q < columns; q += step) {
            REAL met[step + KERNEL - 1];
#pragma unroll
            for (int i = 0; i < step + KERNEL - 1; i++) met[i] = patch[lane + r][q + i];
#pragma unroll
            for (int o = 0; o < OUTPUTS; o++)
#pragma unroll
                for (int i = 0; i < step; i++) {
                    REAL g = flow[o][lane][q + i];
#pragma unroll
                    for (int s = 0; s < KERNEL; s++) sum[o][s] += g * met[i + s];
                }
        }
        __syncthreads();  // before the next columns
    }

#pragma unroll
    for (int o = 0; o < OUTPUTS; o++)
#pragma unroll
        for (int s = 0; s < KERNEL; s++) {
            REAL total = sum[o][s];
#pragma unroll
            for (int apart = 16; apart; apart /= 2) total += __shfl_down_sync(0xffffffffu, total, apart);
            if (lane == 0)
                parts[(((blockIdx.y * OUTPUTS + o) * v.channels + c) * KERNEL + r) * KERNEL + s] = total;
        }
}
