// Padding of images, plane by plane (there is one for each image and channel).
//
//     zero_pad2d             y[r, c] = x[r - top, c - left] inside the image, 0 around it
//     reflection_pad2d       y[r, c] = x[m(r - top), m(c - left)], m the mirror at the border pixels
//     reflection_pad2d_dx    y[q] = sum of grad over the places where the padded image shows q
//
// zero_pad2d's adjoint is a slice. In reflection_pad2d_dx each pixel collects the up to 3 x 3 places that
// show it, so nothing is added to by two threads.
#include "planes.cuh"

struct Padding {
    int height, width;  // of a plane without padding
    int left, right, top, bottom;
};

extern "C" __global__ void zero_pad2d(const REAL* x, REAL* y, Padding p, int count) {
    FOR_EACH(i, count) {
        Place at = place(i, p.top + p.height + p.bottom, p.left + p.width + p.right);
        int row = at.row - p.top, column = at.column - p.left;
        bool inside = row >= 0 && row < p.height && column >= 0 && column < p.width;
        y[i] = inside ? x[(at.plane * p.height + row) * p.width + column] : REAL(0);
    }
}

// The row that is shown at `at`, which may lie up to size - 1 outside of 0 to size - 1.
__device__ __forceinline__ int mirrored(int at, int size) {
    if (at < 0) return -at;
    return at < size ? at : 2 * (size - 1) - at;
}

extern "C" __global__ void reflection_pad2d(const REAL* x, REAL* y, Padding p, int count) {
    FOR_EACH(i, count) {
        Place at = place(i, p.top + p.height + p.bottom, p.left + p.width + p.right);
        int row = mirrored(at.row - p.top, p.height), column = mirrored(at.column - p.left, p.width);
        y[i] = x[(at.plane * p.height + row) * p.width + column];
    }
}

// Where row (or column) number `at` of the image is shown in the padded one: as itself, before the
// beginning and after the end; -1 where it is not. The border itself is not repeated.
struct Shown {
    int at[3];
};

__device__ __forceinline__ Shown shown(int at, int size, int before, int after) {
    Shown s = {{before + at, -1, -1}};
    if (at >= 1 && at <= before) s.at[1] = before - at;
    if (at >= size - 1 - after && at < size - 1) s.at[2] = before + 2 * (size - 1) - at;
    return s;
}

extern "C" __global__ void reflection_pad2d_dx(const REAL* grad, REAL* y, Padding p, int count) {
    int padded_height = p.top + p.height + p.bottom, padded_width = p.left + p.width + p.right;
    FOR_EACH(i, count) {
        Place pixel = place(i, p.height, p.width);
        Shown rows = shown(pixel.row, p.height, p.top, p.bottom);
        Shown columns = shown(pixel.column, p.width, p.left, p.right);
        REAL total = 0;
        for (int row : rows.at) {
            for (int column : columns.at) {
                if (row < 0 || column < 0) continue;
                total += grad[(static_cast<long long>(pixel.plane) * padded_height + row) * padded_width + column];
            }
        }
        y[i] = total;
    }
}
