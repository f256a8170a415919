// v6 of convolution with a kernel of 3x3 and stride 1: Winograd's F(2x2, 3x3).
//
// A tile of 4x4 pixels d gives a tile of 2x2 outputs by 16 products instead of 36:
//
//     Y = A^T [ (G g G^T) . (B^T d B) ] A          Lavin & Gray 2015, "Fast Algorithms for Convolutional
//                                                  Neural Networks", section 4.1
//            | 1  0  0 |         | 1  0 -1  0 |
//     G = 1/2| 1  1  1 |   B^T = | 0  1  1  0 |   A^T = | 1  1  1  0 |
//            | 1 -1  1 |         | 0 -1  1  0 |         | 0  1 -1 -1 |
//            | 0  0  2 |         | 0  1  0 -1 |
//     (the first and last row of G are 1 0 0 and 0 0 1)
//
// where . is elementwise. Summed over the channels, each of the 16 places is a matrix product, (outputs x
// channels) times (channels x tiles): matmul.cu does all 16 as one stack. Of 2.25 times fewer products remains
// what the four passes over memory leave. Not for TF32: the transforms make its rounding much worse.
#include "conv2d.cuh"

// One of the three transforms, of one line.
__device__ __forceinline__ void transform_input(const REAL (&d)[4], REAL (&v)[4]) {
    v[0] = d[0] - d[2], v[1] = d[1] + d[2], v[2] = d[2] - d[1], v[3] = d[1] - d[3];
}
__device__ __forceinline__ void transform_filter(const REAL (&g)[3], REAL (&u)[4]) {
    u[0] = g[0], u[1] = (g[0] + g[1] + g[2]) / 2, u[2] = (g[0] - g[1] + g[2]) / 2, u[3] = g[2];
}
__device__ __forceinline__ void transform_output(const REAL (&m)[4], REAL (&y)[2]) {
    y[0] = m[0] + m[1] + m[2], y[1] = m[1] - m[2] - m[3];
}

// u[16][outputs][inputs] = G g G^T.
extern "C" __global__ void winograd_filter(const REAL* weight, REAL* u, int outputs, int inputs, int output_stride,
                                           int input_stride, bool turned) {
    Filters filters = {weight, output_stride, input_stride, turned};
    FOR_EACH(i, outputs * inputs) {
        REAL across[4][3];  // G g, by its columns
        for (int s = 0; s < 3; s++) {
            REAL g[3], column[4];
            for (int r = 0; r < 3; r++) g[r] = filters(i / inputs, i % inputs, r * 3 + s, 9);
            transform_filter(g, column);
            for (int r = 0; r < 4; r++) across[r][s] = column[r];
        }
        for (int r = 0; r < 4; r++) {
            REAL row[4];
            transform_filter(across[r], row);
            for (int s = 0; s < 4; s++) u[(r * 4 + s) * outputs * inputs + i] = row[s];
        }
    }
}

// Tiles of 2x2 outputs: how many lie down and across an image, and in all images.
struct TileGrid {
    int down, across, count;
};

__device__ __forceinline__ TileGrid tile_grid(const Conv& v) {
    int down = (v.out_height + 1) / 2, across = (v.out_width + 1) / 2;
    return {down, across, v.images * down * across};
}

// v[16][channels][tiles] = B^T d B.
extern "C" __global__ void winograd_input(const REAL* x, REAL* transformed, Conv v) {
    TileGrid grid = tile_grid(v);
    Image image = {x, v.height, v.width};
    FOR_EACH(i, v.channels * grid.count) {
        Pixel tile = pixel_of(i % grid.count, grid.down, grid.across);
        Place corner = image.place(tile.image * v.channels + i / grid.count, tile.h * 2 - v.padding_h,
                                   tile.w * 2 - v.padding_w);
        REAL across[4][4];  // B^T d
        for (int s = 0; s < 4; s++) {
            REAL d[4], column[4];
            for (int r = 0; r < 4; r++) d[r] = value_at(image.find(corner, image.place(0, r, s)));
            transform_input(d, column);
            for (int r = 0; r < 4; r++) across[r][s] = column[r];
        }
        for (int r = 0; r < 4; r++) {
            REAL row[4];
            transform_input(across[r], row);
            for (int s = 0; s < 4; s++) transformed[(r * 4 + s) * v.channels * grid.count + i] = row[s];
        }
    }
}

// y = A^T m A + bias, from m[16][outputs][tiles].
extern "C" __global__ void winograd_output(const REAL* products, const REAL* bias, REAL* y, Conv v) {
    TileGrid grid = tile_grid(v);
    FOR_EACH(i, v.out_channels * grid.count) {
        Pixel tile = pixel_of(i % grid.count, grid.down, grid.across);
        int o = i / grid.count;
        REAL across[2][4];  // A^T m
        for (int s = 0; s < 4; s++) {
            REAL m[4], column[2];
            for (int r = 0; r < 4; r++) m[r] = products[(r * 4 + s) * v.out_channels * grid.count + i];
            transform_output(m, column);
            for (int r = 0; r < 2; r++) across[r][s] = column[r];
        }
        REAL* to = y + (tile.image * v.out_channels + o) * v.out_height * v.out_width;
        for (int r = 0; r < 2; r++) {
            REAL row[2];
            transform_output(across[r], row);
            for (int s = 0; s < 2; s++) {
                int p = tile.h * 2 + r, q = tile.w * 2 + s;
                if (p < v.out_height && q < v.out_width) to[p * v.out_width + q] = bias ? row[s] + bias[o] : row[s];
            }
        }
    }
}
