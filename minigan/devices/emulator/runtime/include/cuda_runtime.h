// So that files for nvcc find their headers: what kernels need is there already (language.h). Of the host's
// functions there are only the names, so that the host code beside the kernels compiles; it is never run.
#pragma once

#include <cstdlib>

typedef int cudaError_t;
typedef void* cudaStream_t;
typedef void* cudaEvent_t;
enum { cudaSuccess = 0 };
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock;
    int major, minor, multiProcessorCount, warpSize, maxThreadsPerBlock;
};

#define EMULATOR_HOST_FUNCTION(name) \
    template <class... Args> \
    inline cudaError_t name(Args&&...) { abort(); }
EMULATOR_HOST_FUNCTION(cudaMalloc)
EMULATOR_HOST_FUNCTION(cudaMallocManaged)
EMULATOR_HOST_FUNCTION(cudaMallocHost)
EMULATOR_HOST_FUNCTION(cudaFree)
EMULATOR_HOST_FUNCTION(cudaFreeHost)
EMULATOR_HOST_FUNCTION(cudaMemcpy)
EMULATOR_HOST_FUNCTION(cudaMemcpyAsync)
EMULATOR_HOST_FUNCTION(cudaMemset)
EMULATOR_HOST_FUNCTION(cudaMemcpyToSymbol)
EMULATOR_HOST_FUNCTION(cudaMemcpyFromSymbol)
EMULATOR_HOST_FUNCTION(cudaDeviceSynchronize)
EMULATOR_HOST_FUNCTION(cudaGetLastError)
EMULATOR_HOST_FUNCTION(cudaPeekAtLastError)
EMULATOR_HOST_FUNCTION(cudaSetDevice)
EMULATOR_HOST_FUNCTION(cudaGetDevice)
EMULATOR_HOST_FUNCTION(cudaGetDeviceProperties)
EMULATOR_HOST_FUNCTION(cudaFuncSetAttribute)
EMULATOR_HOST_FUNCTION(cudaFuncSetCacheConfig)
EMULATOR_HOST_FUNCTION(cudaEventCreate)
EMULATOR_HOST_FUNCTION(cudaEventRecord)
EMULATOR_HOST_FUNCTION(cudaEventSynchronize)
EMULATOR_HOST_FUNCTION(cudaEventElapsedTime)
EMULATOR_HOST_FUNCTION(cudaEventDestroy)
EMULATOR_HOST_FUNCTION(cudaStreamCreate)
EMULATOR_HOST_FUNCTION(cudaStreamSynchronize)
EMULATOR_HOST_FUNCTION(cudaStreamDestroy)
inline const char* cudaGetErrorString(cudaError_t) { return "the emulator runs no host code"; }
inline const char* cudaGetErrorName(cudaError_t) { return "cudaErrorNotSupported"; }
enum {
    cudaFuncAttributeMaxDynamicSharedMemorySize,
    cudaFuncAttributePreferredSharedMemoryCarveout,
    cudaSharedmemCarveoutMaxShared,
    cudaFuncCachePreferShared,
    cudaFuncCachePreferL1
};
