// The asynchronous copies of <cuda_pipeline.h> (CUDA C++ Programming Guide, "Pipeline Primitives Interface").
#pragma once
#define __pipeline_memcpy_async(to, from, size) emulator_copy_async(to, from, size, size)
#define __pipeline_commit() emulator_copy_commit()
#define __pipeline_wait_prior(pending) emulator_copy_wait(pending)
