// Blocks of two and three dimensions, and dynamic shared memory cut into arrays.

// Second differences of a volume.
extern "C" __global__ void laplacian(const float* v, float* out, int nx, int ny, int nz) {
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    int z = blockIdx.z * blockDim.z + threadIdx.z;
#ifdef MISSING_GUARD
    if (x >= nx || y >= ny) return;
#else
    if (x >= nx || y >= ny || z >= nz) return;
#endif
    int i = (z * ny + y) * nx + x, plane = nx * ny;
    float sum = -6 * v[i];  // fault: MISSING_GUARD
    sum += x ? v[i - 1] : 0;
    sum += x < nx - 1 ? v[i + 1] : 0;
    sum += y ? v[i - nx] : 0;
    sum += y < ny - 1 ? v[i + nx] : 0;
#ifdef FIRST_ELEMENT
    sum += v[i - plane];  // fault: FIRST_ELEMENT
#else
    sum += z ? v[i - plane] : 0;
#endif
#ifdef LAST_ELEMENT
    sum += z <= nz - 1 ? v[i + plane] : 0;  // fault: LAST_ELEMENT
#else
    sum += z < nz - 1 ? v[i + plane] : 0;
#endif
#ifdef WRONG_INDEX
    out[(z * ny + y) * nx + x / 2] = sum;  // fault: WRONG_INDEX
#else
    out[i] = sum;
#endif
}

// The mean of each cube of 4 x 4 x 4.
extern "C" __global__ void cube_means(const float* v, float* means, int n) {
    __shared__ float s[64];
    int tx = threadIdx.x, ty = threadIdx.y, tz = threadIdx.z;
#ifdef WRONG_INDEX
    int t = tx + 4 * ty + 8 * tz;
#else
    int t = tx + 4 * ty + 16 * tz;
#endif
    int x = blockIdx.x * 4 + tx, y = blockIdx.y * 4 + ty, z = blockIdx.z * 4 + tz;
    s[t] = v[(z * n + y) * n + x];  // fault: WRONG_INDEX
    __syncthreads();
    for (int d = 32; d; d /= 2) {
        float other = t < d ? s[t + d] : 0;  // fault: MISSING_BARRIER
        if (t < d) s[t] += other;
#ifdef MISSING_BARRIER
        if (d > 16) __syncthreads();
#else
        __syncthreads();
#endif
    }
    int cubes = n / 4;
    if (t == 0) means[(blockIdx.z * cubes + blockIdx.y) * cubes + blockIdx.x] = s[0] / 64;
}

// The keys of a block and how often each occurs in it: keys as double, counts as int, marks as bytes.
extern "C" __global__ void count_keys(const double* keys, int* counts, int n) {
    extern __shared__ double memory[];
    int t = threadIdx.x;
    double* key = memory;
#ifdef OVERLAP
    int* count = (int*)(key + n - 4);
#else
    int* count = (int*)(key + n);
#endif
    unsigned char* seen = (unsigned char*)(count + n);
#ifdef OFF_BY_ONE
    if (t <= n) seen[t] = 0;  // fault: OFF_BY_ONE
#else
    if (t < n) seen[t] = 0;
#endif
    if (t < n) key[t] = keys[t];  // fault: OVERLAP
#ifndef UNINITIALISED
    if (t < n) count[t] = 0;  // fault: OVERLAP
#endif
    __syncthreads();
    if (t < n)
        for (int i = 0; i < n; i++)
            if (key[i] == key[t]) {
                atomicAdd(&count[i], 1);  // fault: UNINITIALISED
                seen[t] = 1;
            }
    __syncthreads();
#ifdef MISALIGNED
    double* sums = (double*)(count + 1);
    if (t == 0) sums[0] = 0;  // fault: MISALIGNED
#endif
    if (t < n && seen[t]) counts[t] = count[t];
}
