// Pooling of images: the largest element, or the sum, over windows.
//
//     max_pool2d       y[w] = max over the window w of x, and where in the plane it lies: indices[w]
//     gather2d         y[w] = x[indices[w]]
//     scatter2d        y[q] = sum of grad[w] over all windows w with indices[w] = q
//     sum_pool2d       y[w] = sum over the window w of x
//     sum_pool2d_dx    y[q] = sum of grad[w] over all windows w that contain q
//
// gather2d and scatter2d are each other's adjoints, and so are sum_pool2d and sum_pool2d_dx. No thread adds to
// what another writes: in every kernel a thread owns one element of the result and collects what belongs to
// it, so that sums have one order.
#include "planes.cuh"

// A plane, and the windows over it.
struct Windows {
    int height, width;
    int out_height, out_width;  // how many windows there are, down and across
    int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;
};

// A stretch of rows or of columns: from begin up to, but without, end.
struct Range {
    int begin, end;
};

// The part of window number `window` that lies inside the image, along one axis. None is empty, because
// the padding is at most half of the window.
__device__ __forceinline__ Range inside(int window, int kernel, int stride, int padding, int size) {
    int begin = window * stride - padding;
    return {max(begin, 0), min(begin + kernel, size)};
}

// The windows that contain pixel number `pixel`, along one axis: those with
// window stride <= pixel + padding < window stride + kernel.
__device__ __forceinline__ Range containing(int pixel, int kernel, int stride, int padding, int windows) {
    int at = pixel + padding;
    int begin = at < kernel ? 0 : (at - kernel) / stride + 1;
    return {begin, min(at / stride + 1, windows)};
}

// ---------------------------------------------------------------- the largest

// Of equal elements the first is taken; a NaN wins over all but an earlier NaN.
extern "C" __global__ void max_pool2d(const REAL* x, REAL* y, long long* indices, Windows v, int count) {
    FOR_EACH(i, count) {
        Place window = place(i, v.out_height, v.out_width);
        Range rows = inside(window.row, v.kernel_h, v.stride_h, v.padding_h, v.height);
        Range columns = inside(window.column, v.kernel_w, v.stride_w, v.padding_w, v.width);
        const REAL* plane = x + static_cast<long long>(window.plane) * v.height * v.width;
        int index = rows.begin * v.width + columns.begin;
        REAL best = plane[index];
        for (int row = rows.begin; row < rows.end; row++) {
            for (int column = columns.begin; column < columns.end; column++) {
                REAL candidate = plane[row * v.width + column];
                if (candidate > best || (candidate != candidate && best == best)) {
                    best = candidate;
                    index = row * v.width + column;
                }
            }
        }
        y[i] = best;
        indices[i] = index;
    }
}

// `windows` and `area` are the sizes of a plane of indices and of a plane of x. The host does not look at indices that
// are on a GPU: one that is outside finds NaN, and scatters nothing.
extern "C" __global__ void gather2d(const REAL* x, const long long* indices, REAL* y, int windows, int area,
                                    int count) {
    FOR_EACH(i, count) {
        bool inside = indices[i] >= 0 && indices[i] < area;
        y[i] = inside ? x[static_cast<long long>(i / windows) * area + indices[i]] : sqrt(REAL(-1));
    }
}

// scatter2d takes three launches. Several windows can have chosen one pixel, so first the windows of each
// pixel are strung on a list, with an integer atomic: which window comes first on it is chance. Then each
// pixel walks its list in the order of the windows' numbers, so that the sum is the same every time. That
// reads the k entries of a list k + 1 times over; where windows of 3 x 3 overlap, k is at most 9, and mostly 1.

constexpr int none = -1;

extern "C" __global__ void scatter2d_begin(int* first, int count) {
    FOR_EACH(pixel, count) first[pixel] = none;
}

extern "C" __global__ void scatter2d_link(const long long* indices, int* first, int* next, int windows, int area,
                                          int count) {
    FOR_EACH(window, count) {
        if (indices[window] < 0 || indices[window] >= area) continue;
        int pixel = window / windows * area + static_cast<int>(indices[window]);
        next[window] = atomicExch(&first[pixel], window);
    }
}

// The list's smallest number above `last`; none after the largest.
__device__ __forceinline__ int following(int head, const int* next, int last) {
    int least = none;
    for (int window = head; window != none; window = next[window]) {
        if (window > last && (least == none || window < least)) least = window;
    }
    return least;
}

extern "C" __global__ void scatter2d_sum(const REAL* grad, const int* first, const int* next, REAL* y, int count) {
    FOR_EACH(pixel, count) {
        int head = first[pixel];
        REAL total = 0;
        for (int window = following(head, next, none); window != none; window = following(head, next, window)) {
            total += grad[window];
        }
        y[pixel] = total;
    }
}

// ---------------------------------------------------------------- the sum

extern "C" __global__ void sum_pool2d(const REAL* x, REAL* y, Windows v, int count) {
    FOR_EACH(i, count) {
        Place window = place(i, v.out_height, v.out_width);
        Range rows = inside(window.row, v.kernel_h, v.stride_h, v.padding_h, v.height);
        Range columns = inside(window.column, v.kernel_w, v.stride_w, v.padding_w, v.width);
        const REAL* plane = x + static_cast<long long>(window.plane) * v.height * v.width;
        REAL total = 0;
        for (int row = rows.begin; row < rows.end; row++) {
            for (int column = columns.begin; column < columns.end; column++) total += plane[row * v.width + column];
        }
        y[i] = total;
    }
}

extern "C" __global__ void sum_pool2d_dx(const REAL* grad, REAL* y, Windows v, int count) {
    FOR_EACH(i, count) {
        Place pixel = place(i, v.height, v.width);
        Range rows = containing(pixel.row, v.kernel_h, v.stride_h, v.padding_h, v.out_height);
        Range columns = containing(pixel.column, v.kernel_w, v.stride_w, v.padding_w, v.out_width);
        const REAL* plane = grad + static_cast<long long>(pixel.plane) * v.out_height * v.out_width;
        REAL total = 0;
        for (int row = rows.begin; row < rows.end; row++) {
            for (int column = columns.begin; column < columns.end; column++) {
                total += plane[row * v.out_width + column];
            }
        }
        y[i] = total;
    }
}
