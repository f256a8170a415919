#pragma once
#include "cuda_runtime.h"
typedef void* cublasHandle_t;
typedef int cublasStatus_t;
