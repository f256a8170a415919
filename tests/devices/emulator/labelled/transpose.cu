// Transposes of matrices.
constexpr int DIM = 16;

extern "C" __global__ void transpose_tile(float* out, const float* in, int rows, int cols) {
    __shared__ float tile[DIM][DIM + 1];  // padded: a column's elements lie in different banks
    int x = blockIdx.x * DIM + threadIdx.x;
    int y = blockIdx.y * DIM + threadIdx.y;
    for (int j = 0; j < DIM; j += 4)
        if (x < cols && y + j < rows)
#ifdef WRONG_INDEX
            tile[threadIdx.y][threadIdx.x] = in[(y + j) * cols + x];
#else
            tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * cols + x];
#endif
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    x = blockIdx.y * DIM + threadIdx.x;
    y = blockIdx.x * DIM + threadIdx.y;
    for (int j = 0; j < DIM; j += 4)
#ifdef MISSING_GUARD
        out[(y + j) * rows + x] = tile[threadIdx.x][threadIdx.y + j];  // fault: MISSING_GUARD
#else
        if (x < rows && y + j < cols)
            out[(y + j) * rows + x] = tile[threadIdx.x][threadIdx.y + j];  // fault: MISSING_BARRIER WRONG_INDEX
#endif
}

// In place: each pair of tiles is exchanged by one block, that above the diagonal.
extern "C" __global__ void transpose_in_place(int* m, int n) {
#ifndef BOTH_BLOCKS
    if (blockIdx.x < blockIdx.y) return;
#endif
    int i = blockIdx.y * blockDim.y + threadIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || j >= n) return;
#ifdef BOTH_BLOCKS
    if (i == j) return;
#else
    if (i >= j) return;
#endif
    int upper = m[i * n + j];  // fault: BOTH_BLOCKS
    m[i * n + j] = m[j * n + i];  // fault: BOTH_BLOCKS
    m[j * n + i] = upper;  // fault: BOTH_BLOCKS
}

// With 2-D shared rows reached through a pointer to the tile's first element.
extern "C" __global__ void transpose_flat(double* out, const double* in, int n) {
    extern __shared__ double flat[];
    int tx = threadIdx.x, ty = threadIdx.y, w = blockDim.x;
    in += blockIdx.y * w * n + blockIdx.x * w;
    out += blockIdx.x * w * n + blockIdx.y * w;
#ifdef OFF_BY_ONE
    double* mine = flat + (ty + 1) * w + tx;
#else
    double* mine = flat + ty * w + tx;
#endif
    *mine = in[ty * n + tx];  // fault: OFF_BY_ONE
    __syncthreads();
#ifdef WRONG_STORE
    out[tx * n] = flat[tx * w + ty];  // fault: WRONG_STORE
#else
    out[ty * n + tx] = flat[tx * w + ty];
#endif
}
