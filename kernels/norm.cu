// Normalisation of rows, for instance norm, batch norm and their kin, and its gradient.
//
//     m = mean(x),  r = 1 / sqrt(mean((x - m)^2) + eps),  y = (x - m) r
//     dx = r (g - mean(g) - xhat mean(g xhat)),  where xhat = (x - m) r
//
// With `relu`, y is rectified, and g counts as 0 where xhat is not positive: one pass over memory less each way.
//
// A row is what is normalised together; rows may lie anywhere in a contiguous array (reduction.cuh). Squares
// are summed of deviations from the mean: mean(x^2) - m^2 would cancel.
//
//     version     for                                     the idea it adds
//     by_warp     rows of some hundreds                   lanes share a row; it stays in the cache between sweeps
//     by_block    long rows                               warps share a row
//     plane       rows that are contiguous and fit into   each element is read once, four at a time; the
//                 shared memory                           other sweeps find it in shared memory
//     in_parts    few rows, very long ones                several blocks share a row and leave what they
//     and apply                                           accumulated; each block of the second launch merges
//                                                         that anew, which costs less than a third launch
#include "reduction.cuh"

__device__ __forceinline__ REAL normalized(REAL x, REAL mean, REAL r) { return (x - mean) * r; }

// NaN stays what it is; its gradient does not pass.
__device__ __forceinline__ REAL rectified(REAL y, bool relu) { return relu && y < 0 ? REAL(0) : y; }
__device__ __forceinline__ REAL passed(REAL grad, REAL xhat, bool relu) { return relu && !(xhat > 0) ? REAL(0) : grad; }

__device__ __forceinline__ REAL reciprocal_deviation(REAL variance, REAL eps) { return 1 / sqrt(variance + eps); }

// The two sums that the gradient needs.
struct GradientSums {
    REAL g;
    REAL g_xhat;

    __device__ static GradientSums start() { return {REAL(0), REAL(0)}; }
    __device__ void take(REAL grad, REAL xhat) {
        g += grad;
        g_xhat += grad * xhat;
    }
    __device__ void merge(GradientSums other) {
        g += other.g;
        g_xhat += other.g_xhat;
    }
    __device__ GradientSums of_lane(int bits) const {
        return {__shfl_xor_sync(all_lanes, g, bits), __shfl_xor_sync(all_lanes, g_xhat, bits)};
    }
    __device__ REAL gradient(REAL grad, REAL xhat, REAL r, int length) const {
        return r * (grad - g / length - xhat * (g_xhat / length));
    }
};

// ---------------------------------------------------------------- by_warp, by_block

template <class Team>
__device__ void normalize_row(const REAL* x, REAL* y, REAL* means, REAL* reciprocals, const Rows& rows, REAL eps,
                              bool relu, int i) {
    int begin = offsets(rows.kept, i).of[0];
    Sum sum = Sum::start(0), squares = Sum::start(0);
    for (int j = Team::rank(); j < rows.length; j += Team::size()) sum.take(element_of(x + begin, rows, j));
    REAL mean = Team::merged(sum).total / rows.length;
    for (int j = Team::rank(); j < rows.length; j += Team::size()) {
        REAL deviation = element_of(x + begin, rows, j) - mean;
        squares.take(deviation * deviation);
    }
    REAL r = reciprocal_deviation(Team::merged(squares).total / rows.length, eps);
    for (int j = Team::rank(); j < rows.length; j += Team::size()) {
        int at = begin + offsets(rows.reduced, j).of[0];
        y[at] = rectified(normalized(x[at], mean, r), relu);
    }
    if (Team::rank() == 0) {
        means[i] = mean;
        reciprocals[i] = r;
    }
}

extern "C" __global__ void normalize_by_warp(const REAL* x, REAL* y, REAL* means, REAL* reciprocals, Rows rows,
                                             REAL eps, bool relu) {
    FOR_EACH_WARP(i, rows.count) normalize_row<Warp>(x, y, means, reciprocals, rows, eps, relu, i);
}

extern "C" __global__ void normalize_by_block(const REAL* x, REAL* y, REAL* means, REAL* reciprocals, Rows rows,
                                              REAL eps, bool relu) {
    normalize_row<Block>(x, y, means, reciprocals, rows, eps, relu, blockIdx.x);
}

template <class Team>
__device__ void normalize_grad_row(const REAL* grad, const REAL* x, const REAL* means, const REAL* reciprocals,
                                   REAL* dx, const Rows& rows, bool relu, int i) {
    int begin = offsets(rows.kept, i).of[0];
    REAL mean = means[i], r = reciprocals[i];
    GradientSums mine = GradientSums::start();
    for (int j = Team::rank(); j < rows.length; j += Team::size()) {
        int at = begin + offsets(rows.reduced, j).of[0];
        REAL xhat = normalized(x[at], mean, r);
        mine.take(passed(grad[at], xhat, relu), xhat);
    }
    GradientSums all = Team::merged(mine);
    for (int j = Team::rank(); j < rows.length; j += Team::size()) {
        int at = begin + offsets(rows.reduced, j).of[0];
        REAL xhat = normalized(x[at], mean, r);
        dx[at] = all.gradient(passed(grad[at], xhat, relu), xhat, r, rows.length);
    }
}

extern "C" __global__ void normalize_grad_by_warp(const REAL* grad, const REAL* x, const REAL* means,
                                                  const REAL* reciprocals, REAL* dx, Rows rows,
                                                  bool relu) {
    FOR_EACH_WARP(i, rows.count) normalize_grad_row<Warp>(grad, x, means, reciprocals, dx, rows, relu, i);
}

extern "C" __global__ void normalize_grad_by_block(const REAL* grad, const REAL* x, const REAL* means,
                                                   const REAL* reciprocals, REAL* dx, Rows rows,
                                                   bool relu) {
    normalize_grad_row<Block>(grad, x, means, reciprocals, dx, rows, relu, blockIdx.x);
}

// ---------------------------------------------------------------- plane

// A thread loads and stores four elements at once. It finds in shared memory what it put there itself, so that no
// barrier is needed.
extern "C" __global__ void normalize_plane(const REAL* x, REAL* y, REAL* means, REAL* reciprocals, int length,
                                           REAL eps, bool relu) {
    extern __shared__ float4 memory[];
    REAL* plane = reinterpret_cast<REAL*>(memory);
    const int i = blockIdx.x, first = threadIdx.x * 4, apart = blockDim.x * 4;
    x += i * length;
    y += i * length;

    Sum sum = Sum::start(0), squares = Sum::start(0);
    REAL v[4];
    for (int j = first; j < length; j += apart) {
        load_four(v, x + j);
        store_four(plane + j, v);
        for (int k = 0; k < 4; k++) sum.take(v[k]);
    }
    REAL mean = merged_in_block(sum).total / length;
    for (int j = first; j < length; j += apart) {
        load_four(v, plane + j);
        for (int k = 0; k < 4; k++) squares.take((v[k] - mean) * (v[k] - mean));
    }
    REAL r = reciprocal_deviation(merged_in_block(squares).total / length, eps);
    for (int j = first; j < length; j += apart) {
        load_four(v, plane + j);
        for (int k = 0; k < 4; k++) v[k] = rectified(normalized(v[k], mean, r), relu);
        store_four(y + j, v);
    }
    if (threadIdx.x == 0) {
        means[i] = mean;
        reciprocals[i] = r;
    }
}

// Shared memory holds the gradient and xhat.
extern "C" __global__ void normalize_grad_plane(const REAL* grad, const REAL* x, const REAL* means,
                                                const REAL* reciprocals, REAL* dx, int length, bool relu) {
    extern __shared__ float4 memory[];
    REAL *grads = reinterpret_cast<REAL*>(memory), *xhats = grads + length;
    const int i = blockIdx.x, first = threadIdx.x * 4, apart = blockDim.x * 4;
    grad += i * length;
    x += i * length;
    dx += i * length;

    REAL mean = means[i], r = reciprocals[i], g[4], v[4];
    GradientSums mine = GradientSums::start();
    for (int j = first; j < length; j += apart) {
        load_four(g, grad + j);
        load_four(v, x + j);
        for (int k = 0; k < 4; k++) {
            v[k] = normalized(v[k], mean, r);
            g[k] = passed(g[k], v[k], relu);
            mine.take(g[k], v[k]);
        }
        store_four(grads + j, g);
        store_four(xhats + j, v);
    }
    GradientSums all = merged_in_block(mine);
    for (int j = first; j < length; j += apart) {
        load_four(g, grads + j);
        load_four(v, xhats + j);
        for (int k = 0; k < 4; k++) v[k] = all.gradient(g[k], v[k], r, length);
        store_four(dx + j, v);
    }
}

// ---------------------------------------------------------------- in_parts, apply

// Block (i, part) has one part of row i.
extern "C" __global__ void normalize_in_parts(const REAL* x, Moments* parts, Rows rows) {
    int i = blockIdx.x;
    Part part = part_of(rows.length, blockIdx.y, gridDim.y);
    const REAL* row = row_of(x, rows, i);
    Moments mine = Moments::start(0);
    for (int j = part.begin + threadIdx.x; j < part.end; j += blockDim.x) mine.take(element_of(row, rows, j));
    Moments all = merged_in_block(mine);
    if (threadIdx.x == 0) parts[i * gridDim.y + blockIdx.y] = all;
}

// What the blocks of row i have accumulated together.
template <class Accumulator>
__device__ Accumulator merged_parts(const Accumulator* parts, int i, int count, Accumulator mine) {
    for (int part = threadIdx.x; part < count; part += blockDim.x) mine.merge(parts[i * count + part]);
    return merged_in_block(mine);
}

extern "C" __global__ void normalize_apply(const REAL* x, const Moments* parts, REAL* y, REAL* means,
                                           REAL* reciprocals, Rows rows, REAL eps, bool relu) {
    int i = blockIdx.x;
    Moments all = merged_parts(parts, i, gridDim.y, Moments::start(0));
    REAL mean = all.origin + all.offset;
    REAL r = reciprocal_deviation(all.result(0), eps);
    int begin = offsets(rows.kept, i).of[0];
    Part part = part_of(rows.length, blockIdx.y, gridDim.y);
    for (int j = part.begin + threadIdx.x; j < part.end; j += blockDim.x) {
        int at = begin + offsets(rows.reduced, j).of[0];
        y[at] = rectified(normalized(x[at], mean, r), relu);
    }
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        means[i] = mean;
        reciprocals[i] = r;
    }
}

extern "C" __global__ void normalize_grad_in_parts(const REAL* grad, const REAL* x, const REAL* means,
                                                   const REAL* reciprocals, GradientSums* parts, Rows rows,
                                                   bool relu) {
    int i = blockIdx.x;
    Part part = part_of(rows.length, blockIdx.y, gridDim.y);
    int begin = offsets(rows.kept, i).of[0];
    REAL mean = means[i], r = reciprocals[i];
    GradientSums mine = GradientSums::start();
    for (int j = part.begin + threadIdx.x; j < part.end; j += blockDim.x) {
        int at = begin + offsets(rows.reduced, j).of[0];
        REAL xhat = normalized(x[at], mean, r);
        mine.take(passed(grad[at], xhat, relu), xhat);
    }
    GradientSums all = merged_in_block(mine);
    if (threadIdx.x == 0) parts[i * gridDim.y + blockIdx.y] = all;
}

extern "C" __global__ void normalize_grad_apply(const REAL* grad, const REAL* x, const REAL* means,
                                                const REAL* reciprocals, const GradientSums* parts, REAL* dx,
                                                Rows rows, bool relu) {
    int i = blockIdx.x;
    GradientSums all = merged_parts(parts, i, gridDim.y, GradientSums::start());
    REAL mean = means[i], r = reciprocals[i];
    int begin = offsets(rows.kept, i).of[0];
    Part part = part_of(rows.length, blockIdx.y, gridDim.y);
    for (int j = part.begin + threadIdx.x; j < part.end; j += blockDim.x) {
        int at = begin + offsets(rows.reduced, j).of[0];
        REAL xhat = normalized(x[at], mean, r);
        dx[at] = all.gradient(passed(grad[at], xhat, relu), xhat, r, rows.length);
    }
}
