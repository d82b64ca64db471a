#pragma once

/// Marks arithmetic that a CUDA kernel and the host share, so that host tests cover what the device computes.
#if defined(__CUDACC__)
#define ADABET_HOST_DEVICE __host__ __device__
#else
#define ADABET_HOST_DEVICE
#endif
