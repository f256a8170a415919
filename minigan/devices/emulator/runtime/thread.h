// What a device thread knows of itself; seen by kernels and by the runtime.
#pragma once

#include "vector_types.h"

struct EmulatorThread {
    uint3 thread, block;          // threadIdx, blockIdx
    uint3 block_size, grid_size;  // blockDim, gridDim
    unsigned linear;              // number of the thread in its block
};

// The scheduler sets it whenever it goes on with another thread. initial-exec: one instruction to
// read. The runtime has to define it, not the kernels' library, or the kernels' shared arrays would
// move into the small space that such variables share.
extern "C" {
extern __thread EmulatorThread emulator_thread
    __attribute__((tls_model("initial-exec"), visibility("default")));
}
