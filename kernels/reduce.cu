// Reductions of numbers of any type over axes: the sum, and with a divisor the mean; the largest element.
// reduction.cuh has the versions.
#include "reduction.cuh"

REDUCTION(sum, Sum)
REDUCTION(max, Largest)
