// Elements moved to other places: joining, indexing, and indexing's adjoint.
//
//     put               v = x, where v is any view of y's memory: joins arrays, and writes to slices
//     fill              y = value
//     take_rows         y[i] = x[positions[i]]
//     add_rows          y[p] = sum of grad[i] over all i with positions[i] = p, in the order of i
//
// take_rows and add_rows move rows of `inner` elements: the axes behind all those that are indexed. For add_rows
// the host has sorted the positions, so that each element of the result knows what is added to it: the rows
// order[begin[p]] to order[begin[p + 1] - 1] of grad. Repeats need no atomics, and the sum has one order.
#include "common.cuh"

extern "C" __global__ void put(const REAL* x, REAL* y, Layout layout, int count) {
    FOR_EACH(i, count) {
        Offsets at = offsets(layout, i);
        y[at.of[1]] = x[at.of[0]];
    }
}

extern "C" __global__ void fill(REAL* y, REAL value, int count) {
    FOR_EACH(i, count) y[i] = value;
}

extern "C" __global__ void take_rows(const REAL* x, const long long* positions, REAL* y, int inner, int count) {
    FOR_EACH(i, count) y[i] = x[positions[i / inner] * inner + i % inner];
}

extern "C" __global__ void add_rows(const REAL* grad, const int* order, const int* begin, REAL* y, int inner,
                                    int count) {
    FOR_EACH(i, count) {
        int position = i / inner;
        REAL total = 0;
        for (int k = begin[position]; k < begin[position + 1]; k++) {
            total += grad[static_cast<long long>(order[k]) * inner + i % inner];
        }
        y[i] = total;
    }
}
