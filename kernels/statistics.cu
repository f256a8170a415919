// Reductions of real numbers over axes, and log_softmax.
//
//     var          sum (x - mean)^2 / (n - correction)
//     logsumexp    log(sum exp(x))
//     log_softmax  x - logsumexp(x), along the row that x is in
//
// reduction.cuh has the versions of the first two. log_softmax goes over each row twice:
//
//     version                  for                              the idea it adds
//     log_softmax_by_thread    short rows; rows side by side    a thread walks a row
//     log_softmax_by_warp      rows of some hundreds            lanes share the row, all know what they merged
//     log_softmax_by_block     long rows                        warps share it
#include "reduction.cuh"

// log(sum exp(x)) without overflow: the largest x, and sum exp(x - largest).
struct LogSumExp {
    REAL largest;
    REAL sum;

    __device__ static LogSumExp start(REAL lowest) { return {lowest, REAL(0)}; }

    // The sum with respect to an exponent that is no smaller than `largest`. Equal ones, infinite ones too,
    // leave it as it is.
    __device__ REAL relative_to(REAL exponent) const {
        return largest == exponent ? sum : sum * exp(largest - exponent);
    }
    __device__ void merge(LogSumExp other) {
        Largest all = {largest};
        all.merge({other.largest});
        sum = relative_to(all.value) + other.relative_to(all.value);
        largest = all.value;
    }
    __device__ void take(REAL x) { merge({x, REAL(1)}); }
    __device__ LogSumExp of_lane(int bits) const {
        return {__shfl_xor_sync(all_lanes, largest, bits), __shfl_xor_sync(all_lanes, sum, bits)};
    }
    __device__ REAL result(REAL) const { return log(sum) + largest; }

    // The difference to the largest comes first: it is exact where x is near it, however large both are.
    __device__ REAL log_share(REAL x) const { return (x - largest) - log(sum); }
};

REDUCTION(var, Moments)
REDUCTION(logsumexp, LogSumExp)

template <class Team>
__device__ void log_softmax_row(const REAL* x, REAL* y, const Rows& rows, REAL lowest, int i) {
    Offsets row = offsets(rows.kept, i);  // the second operand is y
    LogSumExp mine = LogSumExp::start(lowest);
    for (int j = Team::rank(); j < rows.length; j += Team::size())
        mine.take(element_of(x + row.of[0], rows, j));
    LogSumExp all = Team::merged(mine);
    for (int j = Team::rank(); j < rows.length; j += Team::size()) {
        Offsets element = offsets(rows.reduced, j);
        y[row.of[1] + element.of[1]] = all.log_share(x[row.of[0] + element.of[0]]);
    }
}

extern "C" __global__ void log_softmax_by_thread(const REAL* x, REAL* y, Rows rows, REAL lowest) {
    FOR_EACH(i, rows.count) log_softmax_row<Thread>(x, y, rows, lowest, i);
}

extern "C" __global__ void log_softmax_by_warp(const REAL* x, REAL* y, Rows rows, REAL lowest) {
    FOR_EACH_WARP(i, rows.count) log_softmax_row<Warp>(x, y, rows, lowest, i);
}

extern "C" __global__ void log_softmax_by_block(const REAL* x, REAL* y, Rows rows, REAL lowest) {
    log_softmax_row<Block>(x, y, rows, lowest, blockIdx.x);
}
