// Stencils on lines and grids, with and without shared memory.
#define R 2

extern "C" __global__ void stencil_halo(const float* in, float* out, int n) {
    __shared__ float s[64 + 2 * R];
    int g = blockIdx.x * blockDim.x + threadIdx.x, l = threadIdx.x + R;
    s[l] = g < n ? in[g] : 0.f;
#ifdef MISSING_HALO
    if (threadIdx.x < 1) {
#else
    if (threadIdx.x < R) {
#endif
        s[l - R] = g >= R ? in[g - R] : 0.f;
#ifdef FIRST_ELEMENT
        if (blockIdx.x == 0) s[l - R] = in[g - R];  // fault: FIRST_ELEMENT
#endif
#ifdef LAST_ELEMENT
        s[l + blockDim.x] = g + blockDim.x <= n ? in[g + blockDim.x] : 0.f;  // fault: LAST_ELEMENT
#else
        s[l + blockDim.x] = g + blockDim.x < n ? in[g + blockDim.x] : 0.f;
#endif
    }
#ifndef MISSING_BARRIER
    __syncthreads();
#endif
    float sum = 0.f;
#ifdef OFF_BY_ONE
    for (int k = -R - 1; k <= R; k++) sum += s[l + k];  // fault: OFF_BY_ONE
#else
    for (int k = -R; k <= R; k++) sum += s[l + k];  // fault: MISSING_BARRIER MISSING_HALO
#endif
    if (g < n) out[g] = sum;
}

// One step of heat flow on a grid with fixed borders.
extern "C" __global__ void heat_step(const float* from, float* to, int h, int w) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    auto at = [&](int i, int j) { return from[i * w + j]; };  // fault: IN_PLACE FIRST_ELEMENT LAST_ELEMENT
#ifdef FIRST_ELEMENT
    bool inside = x > 0 && x < w - 1 && y < h - 1;
#elif defined(LAST_ELEMENT)
    bool inside = x > 0 && x < w - 1 && y > 0;
#else
    bool inside = x > 0 && x < w - 1 && y > 0 && y < h - 1;
#endif
    float v = at(y, x);
    if (inside) v += 0.25f * (at(y - 1, x) + at(y + 1, x) + at(y, x - 1) + at(y, x + 1) - 4 * at(y, x));
#ifdef IN_PLACE
    const_cast<float*>(from)[y * w + x] = v;  // fault: IN_PLACE
#else
    to[y * w + x] = v;
#endif
}

// Many steps of smoothing by one block: two shared lines, used by turns.
extern "C" __global__ void smooth_many(float* line, int steps) {
    __shared__ float buffer[2][96];
    int t = threadIdx.x, n = blockDim.x;
    buffer[0][t] = line[t];
    __syncthreads();
    int now = 0;
    for (int step = 0; step < steps; step++) {
        const float* old = buffer[now];
        int left = t ? t - 1 : 0, right = t < n - 1 ? t + 1 : t;
#ifdef MISSING_BUFFER
        buffer[now][t] = (old[left] + old[t] + old[right]) / 3.f;  // fault: MISSING_BUFFER
#else
        buffer[now ^ 1][t] = (old[left] + old[t] + old[right]) / 3.f;  // fault: MISSING_BARRIER
        now ^= 1;
#endif
#ifdef MISSING_BARRIER
        if (step == 0) __syncthreads();  // only the first step is guarded
#else
        __syncthreads();
#endif
    }
    line[t] = buffer[now][t];
}
