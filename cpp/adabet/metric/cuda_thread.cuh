#pragma once

#include <cuda_pipeline_primitives.h>

#include <cstdint>

namespace adabet {

/// What a kernel's thread knows and can do on a GPU (see device_pairs.hpp).
class CudaThread {
public:
    __device__ unsigned thread() const { return threadIdx.x; }
    __device__ unsigned lane() const { return threadIdx.x % 32; }
    __device__ unsigned warp() const { return threadIdx.x / 32; }
    __device__ std::uint64_t block() const { return blockIdx.x; }
    __device__ std::uint64_t n_blocks() const { return gridDim.x; }
    __device__ void* shared() const {
        extern __shared__ __align__(16) unsigned char shared_memory[];
        return shared_memory;
    }

    __device__ void sync_block() const { __syncthreads(); }
    __device__ void sync_warp() const { __syncwarp(); }

    template <class T>
    __device__ T from_lane(T value, unsigned lane) const {
        return __shfl_sync(0xffffffffU, value, static_cast<int>(lane));
    }
    template <class T>
    __device__ T from_lane_xor(T value, unsigned distance) const {
        return __shfl_xor_sync(0xffffffffU, value, static_cast<int>(distance));
    }
    __device__ std::uint32_t ballot(bool is_set) const { return __ballot_sync(0xffffffffU, is_set); }
    __device__ bool any(bool is_set) const { return __any_sync(0xffffffffU, is_set) != 0; }
    __device__ static unsigned lowest_bit(std::uint32_t bits) {
        return static_cast<unsigned>(__ffs(static_cast<int>(bits))) - 1;
    }

    __device__ std::uint64_t add(std::uint64_t* counter, std::uint64_t amount) const {
        return atomicAdd(reinterpret_cast<unsigned long long*>(counter), static_cast<unsigned long long>(amount));
    }
    __device__ std::uint32_t add_shared(std::uint32_t* counter, std::uint32_t amount) const {
        return atomicAdd(counter, amount);
    }
    __device__ void lower(std::uint64_t* least, std::uint64_t value) const {
        atomicMin(reinterpret_cast<unsigned long long*>(least), static_cast<unsigned long long>(value));
    }
    __device__ void raise(std::uint32_t* largest, std::uint32_t value) const { atomicMax(largest, value); }

    template <unsigned bytes>
    __device__ void copy_async(void* to, const void* from) const {
        __pipeline_memcpy_async(to, from, bytes);
    }
    __device__ void commit_async() const { __pipeline_commit(); }
    template <unsigned pending>
    __device__ void wait_async() const {
        __pipeline_wait_prior(pending);
    }
};

/// The one entry of all kernels.
template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads, Kernel::min_blocks) run_kernel(const Kernel kernel) {
    CudaThread thread;
    kernel(thread);
}

}  // namespace adabet
