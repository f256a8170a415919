// Elements of one type as another; to bool, whether they differ from 0.
#include "common.cuh"

#ifndef TO
#define TO float
#endif

extern "C" __global__ void cast(const REAL* x, TO* y, Layout layout, int count) {
    FOR_EACH(i, count) y[i] = static_cast<TO>(x[offsets(layout, i).of[0]]);
}

// Into an array that is there already and may have strides: the second operand of the layout.
extern "C" __global__ void assign(const REAL* x, TO* y, Layout layout, int count) {
    FOR_EACH(i, count) {
        Offsets at = offsets(layout, i);
        y[at.of[1]] = static_cast<TO>(x[at.of[0]]);
    }
}
