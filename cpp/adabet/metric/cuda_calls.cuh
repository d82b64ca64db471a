#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/cuda_thread.cuh"
#include "adabet/metric/device.hpp"

namespace adabet {

/// Throws Unavailable, with the reason, where a CUDA call failed; DeviceOutOfMemory where it was for want of memory, which
/// kernels take as well when they are loaded, at their first use.
inline void check_cuda(cudaError_t result, const char* what) {
    if (result == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // a failure that can be got over is not to be found again by the next call
    if (result == cudaErrorMemoryAllocation) {
        std::size_t free = 0;
        std::size_t total = 0;
        static_cast<void>(cudaMemGetInfo(&free, &total));
        throw DeviceOutOfMemory(what, free);
    }
    throw Unavailable(std::string("CUDA: ") + what + " failed: " + cudaGetErrorString(result) + " (" +
                      cudaGetErrorName(result) + "); backend='cpu' works on");
}

template <class Kernel>
void launch_cuda(const Kernel& kernel, std::uint64_t n_blocks, std::size_t shared_bytes, cudaStream_t stream) {
    if (n_blocks == 0) return;
    if (n_blocks > 0x7fffffffU)
        throw Unavailable("CUDA: a grid of " + std::to_string(n_blocks) + " blocks is too large");
    if (shared_bytes > 48U * 1024U) {
        check_cuda(cudaFuncSetAttribute(run_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(shared_bytes)),
                   "asking for shared memory");
    }
    run_kernel<Kernel><<<static_cast<unsigned>(n_blocks), Kernel::threads, shared_bytes, stream>>>(kernel);
    check_cuda(cudaGetLastError(), "the launch of a kernel");
}

}  // namespace adabet
