// Wide accesses, small types and structures.

extern "C" __global__ void scale4(float* x, float factor, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef MISALIGNED
    float4* v = reinterpret_cast<float4*>(x + 1);
    if (4 * i + 5 > n) return;
#else
    float4* v = reinterpret_cast<float4*>(x);
#ifndef MISSING_GUARD
    if (4 * i + 3 < n)
#endif
#endif
    {
        float4 a = v[i];  // fault: MISALIGNED MISSING_GUARD
        a.x *= factor, a.y *= factor, a.z *= factor, a.w *= factor;
        v[i] = a;  // fault: MISALIGNED MISSING_GUARD
    }
#if !defined(MISALIGNED) && !defined(MISSING_GUARD)
    if (i == 0)
        for (int j = n / 4 * 4; j < n; j++) x[j] *= factor;
#endif
}

// Four bytes at a time, as one word.
extern "C" __global__ void invert_bytes(const unsigned char* in, unsigned char* out, int n) {
    int t = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef OVERLAPPING
    int at = 3 * t;
#else
    int at = 4 * t;
#endif
    if (at + 4 <= n) {
#ifdef OVERLAPPING
        for (int k = 0; k < 4; k++) out[at + k] = ~in[at + k];  // fault: OVERLAPPING
#else
#ifdef MISALIGNED
        unsigned word = *(const unsigned*)(in + at + (t & 1));  // fault: MISALIGNED
#else
        unsigned word = *(const unsigned*)(in + at);
#endif
        *(unsigned*)(out + at) = ~word;
#endif
    } else {
#ifdef LAST_ELEMENT
        for (int j = at; j <= n; j++) out[j] = ~in[j];  // fault: LAST_ELEMENT
#else
        for (int j = at; j < n; j++) out[j] = ~in[j];
#endif
    }
}

struct Particle {
    float3 position;
    int cell;
    float2 momentum;
};

// Moves particles, and counts those of each cell.
extern "C" __global__ void move_particles(Particle* p, int* cells, int n) {
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i >= n) return;
#ifdef WRONG_INDEX
    Particle& mine = p[i / 2];
#else
    Particle& mine = p[i];
#endif
    mine.position.x += mine.momentum.x;  // fault: WRONG_INDEX
    mine.position.y += mine.momentum.y;
    mine.cell = (int)floorf(mine.position.x) & 7;
#ifdef MISSING_ATOMIC
    cells[mine.cell]++;  // fault: MISSING_ATOMIC
#else
    atomicAdd(&cells[mine.cell], 1);
#endif
}

// Complex numbers as double2, multiplied in a block by way of shared memory.
extern "C" __global__ void conjugate_reverse(const double2* in, double2* out) {
    __shared__ double2 s[48];
    int t = threadIdx.x, n = blockDim.x;
    s[t] = in[blockIdx.x * n + t];
#ifdef MISSING_BARRIER
    __syncwarp();
#else
    __syncthreads();
#endif
#ifdef OFF_BY_ONE
    double2 v = s[n - t];  // fault: OFF_BY_ONE
#else
    double2 v = s[n - 1 - t];  // fault: MISSING_BARRIER
#endif
    out[blockIdx.x * n + t] = make_double2(v.x, -v.y);
}
