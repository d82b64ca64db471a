#pragma once

#include <cmath>

#include "adabet/isa.hpp"

/// Marks arithmetic that a CUDA kernel and the host share, so that host tests cover what the device computes. Kernels
/// themselves are ADABET_DEVICE: device code for nvcc, plain functions for the host, where tests run them thread by thread.
#if defined(__CUDACC__)
#define ADABET_HOST_DEVICE __host__ __device__
#define ADABET_DEVICE __device__
#define ADABET_UNROLL _Pragma("unroll")
#else
#define ADABET_HOST_DEVICE
#define ADABET_DEVICE
#define ADABET_UNROLL
#endif

/// Arithmetic with the same bits on both sides, one rounding each: the only place where the two are written apart. The
/// host relies on -ffp-contract=off.
namespace adabet::rounded {

[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE float subtract(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fsub_rn(a, b);
#else
    return a - b;
#endif
}

[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE double subtract(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dsub_rn(a, b);
#else
    return a - b;
#endif
}

[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE float add(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE double add(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dadd_rn(a, b);
#else
    return a + b;
#endif
}

/// fp32: fused, one rounding.
[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE float add_square(float sum, float x) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(x, x, sum);
#else
    return __builtin_fmaf(x, x, sum);
#endif
}

/// fp64: product and sum rounded apart, so that a processor without fused multiply-add needs no emulation here.
[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE double add_square(double sum, double x) {
#if defined(__CUDA_ARCH__)
    return __dadd_rn(sum, __dmul_rn(x, x));
#else
    return sum + x * x;
#endif
}

[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE double square_root(double x) {
#if defined(__CUDA_ARCH__)
    return __dsqrt_rn(x);
#else
    return std::sqrt(x);
#endif
}

}  // namespace adabet::rounded
