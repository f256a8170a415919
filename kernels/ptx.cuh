// What C++ has no words for: the only inline assembly of this folder, each piece beside a model of it in C++.
//
// The model is what the emulator runs. Source: PTX ISA 8.5, "cp.async", "cvt", "mma.sync.m16n8k8".
#pragma once

// ---------------------------------------------------------------- copies that go on meanwhile

// Begin to copy an element of 4, 8 or 16 bytes from global to shared memory, or to write zeros there if not `inside`.
// `from` has to be an address of global memory in either case. GPUs before compute capability 8.0 copy at once.
template <class T>
__device__ __forceinline__ void copy_async(T* to, const T* from, bool inside) {
#ifdef MINIGAN_EMULATOR
    emulator_copy_async(to, from, sizeof(T), inside ? sizeof(T) : 0);
#elif __CUDA_ARCH__ >= 800
    unsigned shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
    unsigned bytes = inside ? sizeof(T) : 0;  // the others are zero
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(from), "n"(sizeof(T)), "r"(bytes)
                 : "memory");
#else
    *to = inside ? *from : T{};
#endif
}

// The copies begun since the last call are one group from here on.
__device__ __forceinline__ void copies_commit() {
#ifdef MINIGAN_EMULATOR
    emulator_copy_commit();
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Wait for this thread's copies, but for the latest `pending` groups. Others see them after a barrier.
template <int pending>
__device__ __forceinline__ void copies_wait() {
#ifdef MINIGAN_EMULATOR
    emulator_copy_wait(pending);
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// ---------------------------------------------------------------- tensor cores

// A float rounded to TF32, 10 bits of mantissa: to the nearest, ties away from zero.
__device__ __forceinline__ unsigned to_tf32(float x) {
    unsigned bits;
#ifdef MINIGAN_EMULATOR
    memcpy(&bits, &x, sizeof bits);
    bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    return finite ? (bits + 0x1000u) & ~0x1fffu : bits & ~0x1fffu;
#elif __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
#else
    return 0;  // no such GPU is asked for tensor cores
#endif
}

#ifdef MINIGAN_EMULATOR
// Every lane brings its part of A, B and C, and the last to come multiplies.
struct MmaTf32 : EmulatorWarpOp {
    unsigned a[4], b[2];
    float c[4];

    static float number(unsigned bits) {
        float x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    EMULATOR_PLAIN static void multiply(EmulatorLanes lanes) {
        float a[16][8], b[8][8];
        for (int lane = 0; lane < 32; lane++) {
            const auto* its = static_cast<const MmaTf32*>(lanes[lane]);
            for (int e = 0; e < 4; e++) a[lane / 4 + e % 2 * 8][lane % 4 + e / 2 * 4] = number(its->a[e]);
            for (int e = 0; e < 2; e++) b[lane % 4 + e * 4][lane / 4] = number(its->b[e]);
        }
        for (int lane = 0; lane < 32; lane++) {
            auto* its = static_cast<MmaTf32*>(lanes[lane]);
            for (int e = 0; e < 4; e++)
                for (int k = 0; k < 8; k++) its->c[e] += a[lane / 4 + e / 2 * 8][k] * b[k][lane % 4 * 2 + e % 2];
        }
    }
};
#endif

// C (16x8) += A (16x8) B (8x8), by the whole warp. A lane holds, of
//     A, rows lane/4 and lane/4 + 8, columns lane%4 and lane%4 + 4: a[0], a[1] of the first column, then the second
//     B, rows lane%4 and lane%4 + 4 of column lane/4
//     C, rows lane/4 (c[0], c[1]) and lane/4 + 8, columns 2 (lane%4) and the next
__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef MINIGAN_EMULATOR
    MmaTf32 op;
    op.complete = MmaTf32::multiply;
    memcpy(op.a, a, sizeof op.a);
    memcpy(op.b, b, sizeof op.b);
    memcpy(op.c, c, sizeof op.c);
    emulator_warp_op(&op, 0xffffffffu, EMULATOR_HERE);
    memcpy(c, op.c, sizeof op.c);
#elif __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
