// Upsampling of images.
//
//     upsample_nearest2d        y[r, c] = x[r / scale_h, c / scale_w], rounded down
//     upsample_bilinear2d       y = A x B^T, with A[i, r] and B[j, c] the weights of linear interpolation
//     upsample_bilinear2d_dx    y = A^T grad B
//
// Pixels are areas: the centre of new row i lies at (i + 1/2) size / new_size - 1/2, held inside the image, and
// A[i, r] = max(0, 1 - |that - r|). In units of 1 / (2 new_size) all these positions are whole numbers,
// (2 i + 1) size - new_size and 2 new_size r: so no rounding decides which rows meet.
//
// The adjoint of upsample_nearest2d is sum_pool2d (pool.cu).
#include "common.cuh"

extern "C" __global__ void upsample_nearest2d(const REAL* x, REAL* y, int width, int scale_h,
                                              int scale_w, int count) {
    FOR_EACH(i, count) {
        int column = i % (width * scale_w), row = i / (width * scale_w);  // of all planes, one below the other
        y[i] = x[row / scale_h * width + column / scale_w];  // as every plane has height scale_h rows
    }
}

// ---------------------------------------------------------------- linear interpolation along one axis

struct Axis {
    int size, new_size;

    // The centre of new pixel i, in units of 1 / (2 new_size).
    __device__ long long centre(int i) const {
        long long at = (2ll * i + 1) * size - new_size, last = 2ll * new_size * (size - 1);
        return at < 0 ? 0 : at < last ? at : last;
    }

    // The weight of pixel r in new pixel i.
    __device__ REAL weight(int i, int r) const {
        long long unit = 2ll * new_size, distance = centre(i) - unit * r;
        if (distance < 0) distance = -distance;
        return distance < unit ? REAL(unit - distance) / REAL(unit) : REAL(0);
    }
};

// A new pixel's two neighbours and their weights. At the last pixel both are the same.
struct Between {
    int low, high;
    REAL low_weight, high_weight;
};

__device__ __forceinline__ Between between(const Axis& axis, int i) {
    long long unit = 2ll * axis.new_size, at = axis.centre(i);
    int low = static_cast<int>(at / unit);
    REAL high_weight = REAL(at - low * unit) / REAL(unit);
    return {low, min(low + 1, axis.size - 1), 1 - high_weight, high_weight};
}

// The new pixels in which pixel r can have weight: those with a centre between r - 1 and r + 1. Beyond the
// first and the last pixel, all.
struct Reach {
    int begin, end;
};

__device__ __forceinline__ Reach reach(const Axis& axis, int r) {
    long long unit = 2ll * axis.size, size = axis.size, new_size = axis.new_size;
    long long from = (2ll * r - 1) * new_size - size;  // i > from / unit
    long long to = (2ll * r + 3) * new_size - size;    // i < to / unit
    Reach reached = {0, axis.new_size};
    if (r > 0 && from >= 0) reached.begin = static_cast<int>(from / unit) + 1;
    if (r < axis.size - 1) reached.end = to > 0 ? static_cast<int>((to - 1) / unit) + 1 : 0;
    return reached;
}

// ---------------------------------------------------------------- along both

// The weights are the same in all planes, so a thread works them out once and then goes through planes: those
// from blockIdx.y on, in steps of gridDim.y. `pixels` is how many a plane of the result has.
extern "C" __global__ void upsample_bilinear2d(const REAL* x, REAL* y, Axis rows, Axis columns, int planes,
                                               int pixels) {
    FOR_EACH(i, pixels) {
        Between row = between(rows, i / columns.new_size), column = between(columns, i % columns.new_size);
        for (long long plane = blockIdx.y; plane < planes; plane += gridDim.y) {
            const REAL* image = x + plane * rows.size * columns.size;
            const REAL* above = image + row.low * columns.size;
            const REAL* below = image + row.high * columns.size;
            REAL upper = column.low_weight * above[column.low] + column.high_weight * above[column.high];
            REAL lower = column.low_weight * below[column.low] + column.high_weight * below[column.high];
            y[plane * pixels + i] = row.low_weight * upper + row.high_weight * lower;
        }
    }
}

extern "C" __global__ void upsample_bilinear2d_dx(const REAL* grad, REAL* y, Axis rows, Axis columns, int planes,
                                                  int pixels) {
    FOR_EACH(i, pixels) {
        int row = i / columns.size, column = i % columns.size;
        Reach down = reach(rows, row), across = reach(columns, column);
        for (long long plane = blockIdx.y; plane < planes; plane += gridDim.y) {
            const REAL* image = grad + plane * rows.new_size * columns.new_size;
            REAL total = 0;
            for (int r = down.begin; r < down.end; r++) {
                REAL along = 0;
                for (int c = across.begin; c < across.end; c++) {
                    along += columns.weight(c, column) * image[r * columns.new_size + c];
                }
                total += rows.weight(r, row) * along;
            }
            y[plane * pixels + i] = total;
        }
    }
}
