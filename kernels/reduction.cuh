// How rows of elements become one number each: by a thread, a warp, a block, or by columns side by side.
//
// A row is what one result is made of. Its first element lies where the axes that are kept say, the others
// follow along the axes that are reduced; both are a Layout, so any axes of any strided array can be reduced.
//
// What is computed is up to an accumulator, a structure with
//     start(setting)   the accumulator of no elements
//     take(x)          one more element
//     merge(other)     the elements that another accumulator has taken
//     of_lane(bits)    the accumulator of the lane whose number differs in these bits
//     result(setting)  the result
// where the setting is one number from the host. Every sum has an order that depends on the shape alone (there
// are no atomics), so the same call gives the same bits.
//
//     version     for                                    the idea it adds
//     by_thread   short rows; very many columns          a thread walks a row
//     by_warp     rows of some hundreds                  32 lanes share a row and merge through registers
//     by_block    long rows                              the warps of a block merge through shared memory
//     by_columns  rows side by side, as when the first   lanes take neighbouring columns, so that a warp's
//                 axis is reduced                        loads lie together; warps share out the elements
//     of_parts    after by_block or by_columns, where    several blocks share a row and leave what they
//                 rows are few and very long             accumulated; a second launch merges that
#pragma once
#include "common.cuh"

constexpr int warp_size = 32;
constexpr int max_warps = 32;  // in a block
constexpr unsigned all_lanes = 0xffffffffu;

// ---------------------------------------------------------------- accumulators

// The sum, divided by a number: 1, or the count of elements for the mean.
struct Sum {
    REAL total;

    __device__ static Sum start(REAL) { return {REAL(0)}; }
    __device__ void take(REAL x) { total += x; }
    __device__ void merge(Sum other) { total += other.total; }
    __device__ Sum of_lane(int bits) const { return {REAL(__shfl_xor_sync(all_lanes, total, bits))}; }
    __device__ REAL result(REAL divisor) const { return total / divisor; }
};

// The largest; the setting is a number that none lies below. NaN wins, as in NumPy.
struct Largest {
    REAL value;

    __device__ static Largest start(REAL lowest) { return {lowest}; }
    __device__ void take(REAL x) { value = x > value || x != x ? x : value; }
    __device__ void merge(Largest other) { take(other.value); }
    __device__ Largest of_lane(int bits) const { return {REAL(__shfl_xor_sync(all_lanes, value, bits))}; }
    __device__ REAL result(REAL) const { return value; }
};

// The variance, from the sum of squared deviations from the mean: mean(x^2) - mean(x)^2 would cancel. The mean
// is held as origin + offset, where the origin is one of the elements: the offset is small and keeps the digits
// that the mean itself would round away. The setting is what to take from the count for the variance's divisor.
struct Moments {
    REAL count;
    REAL origin;
    REAL offset;
    REAL squares;

    __device__ static Moments start(REAL) { return {REAL(0), REAL(0), REAL(0), REAL(0)}; }

    // Welford 1962, "Note on a method for calculating corrected sums of squares and products".
    __device__ void take(REAL x) {
        if (count == 0) origin = x;
        count += 1;
        REAL deviation = (x - origin) - offset;
        offset += deviation / count;
        squares += deviation * ((x - origin) - offset);
    }
    // Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    __device__ void merge(Moments other) {
        if (other.count == 0) return;
        if (count == 0) origin = other.origin;
        REAL deviation = (other.origin - origin) + (other.offset - offset);
        REAL share = other.count / (count + other.count);
        offset += deviation * share;
        squares += other.squares + deviation * deviation * count * share;
        count += other.count;
    }
    __device__ Moments of_lane(int bits) const {
        return {REAL(__shfl_xor_sync(all_lanes, count, bits)), REAL(__shfl_xor_sync(all_lanes, origin, bits)),
                REAL(__shfl_xor_sync(all_lanes, offset, bits)), REAL(__shfl_xor_sync(all_lanes, squares, bits))};
    }
    __device__ REAL result(REAL correction) const { return squares / (count - correction); }
};

// ---------------------------------------------------------------- merging

// What all lanes have accumulated together; every lane gets it.
template <class Accumulator>
__device__ Accumulator merged_in_warp(Accumulator mine) {
    for (int bits = warp_size / 2; bits > 0; bits /= 2) mine.merge(mine.of_lane(bits));
    return mine;
}

// What all threads of the block have accumulated together; every thread gets it.
template <class Accumulator>
__device__ Accumulator merged_in_block(Accumulator mine) {
    __shared__ Accumulator of_warp[max_warps];
    mine = merged_in_warp(mine);
    if (threadIdx.x % warp_size == 0) of_warp[threadIdx.x / warp_size] = mine;
    __syncthreads();
    Accumulator all = of_warp[0];
    for (int warp = 1; warp < blockDim.x / warp_size; warp++) all.merge(of_warp[warp]);
    __syncthreads();  // all have read before somebody merges the next row
    return all;
}

// Who shares a row, for kernels that have one text for all.
struct Thread {
    static __device__ int rank() { return 0; }
    static __device__ int size() { return 1; }
    template <class Accumulator>
    static __device__ Accumulator merged(Accumulator mine) { return mine; }
};

struct Warp {
    static __device__ int rank() { return threadIdx.x % warp_size; }
    static __device__ int size() { return warp_size; }
    template <class Accumulator>
    static __device__ Accumulator merged(Accumulator mine) { return merged_in_warp(mine); }
};

struct Block {
    static __device__ int rank() { return threadIdx.x; }
    static __device__ int size() { return blockDim.x; }
    template <class Accumulator>
    static __device__ Accumulator merged(Accumulator mine) { return merged_in_block(mine); }
};

// Each warp of the grid takes every so-many-th row. All lanes of a warp go the same way.
#define FOR_EACH_WARP(i, count) \
    for (int i = (blockIdx.x * blockDim.x + threadIdx.x) / warp_size; i < (count); \
         i += gridDim.x * blockDim.x / warp_size)

// ---------------------------------------------------------------- the versions

struct Rows {
    Layout kept;     // where each row begins
    Layout reduced;  // where its elements lie from there
    int count;
    int length;
};

__device__ __forceinline__ const REAL* row_of(const REAL* x, const Rows& rows, int row) {
    return x + offsets(rows.kept, row).of[0];
}

__device__ __forceinline__ REAL element_of(const REAL* row, const Rows& rows, int j) {
    return row[offsets(rows.reduced, j).of[0]];
}

// The elements of a row that one of several parts has, from `begin` to before `end`.
struct Part {
    int begin, end;
};

__device__ __forceinline__ Part part_of(int length, int part, int parts) {
    long long n = length;
    return {int(n * part / parts), int(n * (part + 1) / parts)};
}

template <class Team, class Accumulator>
__device__ void reduce_row(const REAL* x, REAL* y, const Rows& rows, REAL setting, int i) {
    const REAL* row = row_of(x, rows, i);
    Accumulator mine = Accumulator::start(setting);
    for (int j = Team::rank(); j < rows.length; j += Team::size()) mine.take(element_of(row, rows, j));
    Accumulator all = Team::merged(mine);
    if (Team::rank() == 0) y[i] = all.result(setting);
}

// Block (i, part) has one part of row i. Where there are several parts, `parts` takes what each accumulated.
template <class Accumulator>
__device__ void by_block(const REAL* x, REAL* y, Accumulator* parts, const Rows& rows, REAL setting) {
    int i = blockIdx.x;
    const REAL* row = row_of(x, rows, i);
    Part part = part_of(rows.length, blockIdx.y, gridDim.y);
    Accumulator mine = Accumulator::start(setting);
    for (int j = part.begin + threadIdx.x; j < part.end; j += blockDim.x) mine.take(element_of(row, rows, j));
    Accumulator all = merged_in_block(mine);
    if (threadIdx.x != 0) return;
    if (parts) parts[i * gridDim.y + blockIdx.y] = all;
    else y[i] = all.result(setting);
}

// threadIdx.x tells the column, threadIdx.y shares out its elements; blocks have parts as in by_block.
constexpr int column_warps = 8;

template <class Accumulator>
__device__ void by_columns(const REAL* x, REAL* y, Accumulator* parts, const Rows& rows, REAL setting) {
    __shared__ Accumulator taken[column_warps][warp_size];
    int i = blockIdx.x * warp_size + threadIdx.x;
    Part part = part_of(rows.length, blockIdx.y, gridDim.y);
    Accumulator all = Accumulator::start(setting);
    if (i < rows.count) {
        const REAL* column = row_of(x, rows, i);
        for (int j = part.begin + threadIdx.y; j < part.end; j += column_warps)
            all.take(element_of(column, rows, j));
    }
    taken[threadIdx.y][threadIdx.x] = all;
    __syncthreads();
    if (threadIdx.y != 0 || i >= rows.count) return;
    for (int warp = 1; warp < column_warps; warp++) all.merge(taken[warp][threadIdx.x]);
    if (parts) parts[i * gridDim.y + blockIdx.y] = all;
    else y[i] = all.result(setting);
}

// A warp merges what `parts` blocks have accumulated of each row.
template <class Accumulator>
__device__ void of_parts(const Accumulator* accumulated, REAL* y, int count, int parts, REAL setting) {
    int lane = threadIdx.x % warp_size;
    FOR_EACH_WARP(i, count) {
        Accumulator mine = Accumulator::start(setting);
        for (int part = lane; part < parts; part += warp_size) mine.merge(accumulated[i * parts + part]);
        Accumulator all = merged_in_warp(mine);
        if (lane == 0) y[i] = all.result(setting);
    }
}

// All versions of a reduction as kernels.
#define REDUCTION(name, Accumulator) \
    extern "C" __global__ void name##_by_thread(const REAL* x, REAL* y, Rows rows, REAL setting) { \
        FOR_EACH(i, rows.count) reduce_row<Thread, Accumulator>(x, y, rows, setting, i); \
    } \
    extern "C" __global__ void name##_by_warp(const REAL* x, REAL* y, Rows rows, REAL setting) { \
        FOR_EACH_WARP(i, rows.count) reduce_row<Warp, Accumulator>(x, y, rows, setting, i); \
    } \
    extern "C" __global__ void name##_by_block(const REAL* x, REAL* y, Accumulator* parts, Rows rows, \
                                               REAL setting) { \
        by_block<Accumulator>(x, y, parts, rows, setting); \
    } \
    extern "C" __global__ void name##_by_columns(const REAL* x, REAL* y, Accumulator* parts, Rows rows, \
                                                 REAL setting) { \
        by_columns<Accumulator>(x, y, parts, rows, setting); \
    } \
    extern "C" __global__ void name##_of_parts(const Accumulator* accumulated, REAL* y, int count, int parts, \
                                               REAL setting) { \
        of_parts<Accumulator>(accumulated, y, count, parts, setting); \
    }
