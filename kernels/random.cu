// Random numbers that are a function of a key and a counter: Philox4x64-10 (Salmon et al. 2011, "Parallel random
// numbers: as easy as 1, 2, 3", section 3.3), and dropout by them.
//
//     dropout_masked    y[i] = scale x[i] where bits[i] >= threshold, 0 elsewhere
//
// The state is (key, counter). Block b of the generator, at counter + b, gives 4 words of 64 bits, which are the
// 32 bits of elements 8 b to 8 b + 7: the low half of each word first. It is read from memory, so that a
// recorded sequence of launches can be run again with another one.
#include "common.cuh"

typedef unsigned long long Word;

constexpr int numbers_per_block = 8;
constexpr int threads = 256;  // in a block of the launch

struct Philox {
    Word word[4];
};

__device__ __forceinline__ Philox philox(Word key, Word counter, Word carry) {
    Word c0 = counter, c1 = carry, c2 = 0, c3 = 0, k0 = key, k1 = 0;
    for (int round = 0; round < 10; round++) {
        Word low0 = 0xD2E7470EE14C6C93ull * c0, high0 = __umul64hi(0xD2E7470EE14C6C93ull, c0);
        Word low2 = 0xCA5A826395121157ull * c2, high2 = __umul64hi(0xCA5A826395121157ull, c2);
        c0 = high2 ^ c1 ^ k0;
        c1 = low2;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B97F4A7C15ull;  // the golden ratio
        k1 += 0xBB67AE8584CAA73Bull;  // sqrt(3) - 1
    }
    return {{c0, c1, c2, c3}};
}

// Each thread draws a block for 8 neighbouring elements; through shared memory they are handed out so that
// neighbouring threads touch neighbouring elements. The 4 words of padding put the words that a warp reads together,
// 4 of each row, into different banks.
extern "C" __global__ void dropout_masked(const REAL* x, const Word* state, REAL* y, REAL scale, Word threshold,
                                          int count) {
    __shared__ Word words[4][threads + 4];
    constexpr int tile = threads * numbers_per_block;  // elements that the threads do at a time
    Word key = state[0], counter = state[1];
    for (long long first = static_cast<long long>(blockIdx.x) * tile; first < count; first += gridDim.x * tile) {
        Word number = counter + first / numbers_per_block + threadIdx.x;
        Philox drawn = philox(key, number, number < counter);  // the counter has 256 bits: carry
        for (int k = 0; k < 4; k++) words[k][threadIdx.x] = drawn.word[k];
        __syncthreads();
        for (int i = threadIdx.x; i < tile && first + i < count; i += threads) {
            Word word = words[i % numbers_per_block / 2][i / numbers_per_block];
            Word bits = i % 2 ? word >> 32 : word & 0xFFFFFFFF;
            REAL scaled = x[first + i] * scale;  // also where it is dropped, so that whole warps read
            y[first + i] = bits >= threshold ? scaled : REAL(0);
        }
        __syncthreads();  // before the next words come
    }
}
