// Elements of one type as another; to bool, whether they differ from 0.
#include "common.cuh"

#ifndef TO
#define TO float
#endif

extern "C" __global__ void cast(const REAL* x, TO* y, Layout layout, int count) {
    FOR_EACH(i, count) y[i] = static_cast<TO>(x[offsets(layout, i).of[0]]);
}
