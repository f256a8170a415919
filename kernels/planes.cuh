// Batches of images as planes, one for each image and channel, which lie one behind the other.
#pragma once

#include "common.cuh"

// Where element number i of an array of planes is.
struct Place {
    int plane, row, column;
};

__device__ __forceinline__ Place place(int i, int height, int width) {
    int row = i / width;
    return {row / height, row % height, i % width};
}
