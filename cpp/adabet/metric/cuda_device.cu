#include <cuda_runtime.h>

#include <map>
#include <string>

#include "adabet/metric/cuda_calls.cuh"
#include "adabet/metric/device.hpp"

namespace adabet {

namespace {

/// Whether the build has code for that device: one of its kernels can be looked up.
std::string why_not(int index) {
    int before = 0;
    static_cast<void>(cudaGetDevice(&before));
    std::string reason;
    cudaFuncAttributes attributes{};
    cudaError_t result = cudaSetDevice(index);
    if (result == cudaSuccess) result = cudaFuncGetAttributes(&attributes, run_kernel<FinishKernel>);
    if (result == cudaErrorMemoryAllocation) result = cudaSuccess;  // there is code, and for now no memory to load it to
    if (result != cudaSuccess) reason = std::string(cudaGetErrorString(result)) + " (" + cudaGetErrorName(result) + ")";
    static_cast<void>(cudaGetLastError());
    static_cast<void>(cudaSetDevice(before));
    return reason;
}

/// The calling thread's current device is this one for as long as it lives, and then again what it was.
class CudaDevice : public Device {
public:
    explicit CudaDevice(int index) : index_(index) {
        check_cuda(cudaGetDevice(&before_), "cudaGetDevice");
        check_cuda(cudaSetDevice(index), "cudaSetDevice");
        try {
            check_cuda(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, index),
                       "cudaDeviceGetAttribute");
            name_ = "CUDA device " + std::to_string(index);
            check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
        } catch (...) {
            static_cast<void>(cudaSetDevice(before_));
            throw;
        }
    }
    ~CudaDevice() override {
        free_spare();
        static_cast<void>(cudaStreamDestroy(stream_));
        static_cast<void>(cudaGetLastError());  // of a device that is lost; what failed has been thrown before
        static_cast<void>(cudaSetDevice(before_));
    }

    void* allocate(std::size_t bytes) override {
        const auto fitting = spare_.lower_bound(bytes);
        if (fitting != spare_.end() && fitting->first <= 2 * bytes) {
            void* const memory = fitting->second;
            sizes_[memory] = fitting->first;
            spare_.erase(fitting);
            spare_bytes_ -= sizes_[memory];
            return memory;
        }
        if (spare_bytes_ > most_spare_bytes) free_spare();
        void* memory = nullptr;
        cudaError_t result = cudaMalloc(&memory, bytes);
        if (result == cudaErrorMemoryAllocation && !spare_.empty()) {
            static_cast<void>(cudaGetLastError());
            free_spare();
            result = cudaMalloc(&memory, bytes);
        }
        if (result == cudaErrorMemoryAllocation) {
            static_cast<void>(cudaGetLastError());
            throw DeviceOutOfMemory(name_, bytes, free_bytes());
        }
        check_cuda(result, "cudaMalloc");
        sizes_[memory] = bytes;
        return memory;
    }
    void release(void* memory) noexcept override {
        const auto found = sizes_.find(memory);
        if (found == sizes_.end()) return;
        spare_.emplace(found->second, memory);
        spare_bytes_ += found->second;
        sizes_.erase(found);
    }
    void* hand_over(void* memory) override {
        sizes_.erase(memory);
        return memory;
    }
    std::size_t free_bytes() override {
        std::size_t free = 0;
        std::size_t total = 0;
        check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
        return free + spare_bytes_;  // which is given up where there is no more
    }
    unsigned multiprocessors() const override { return static_cast<unsigned>(processors_); }

    void fill_zero(void* to, std::size_t bytes) override {
        if (bytes > 0) check_cuda(cudaMemsetAsync(to, 0, bytes, stream_), "cudaMemsetAsync");
    }
    void to_device(void* to, const void* host, std::size_t bytes) override {
        if (bytes > 0)
            check_cuda(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, stream_), "a copy to the device");
    }
    void to_host(void* host, const void* from, std::size_t bytes) override {
        if (bytes > 0)
            check_cuda(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, stream_), "a copy to the host");
    }
    void to_host_rows(void* host, std::size_t host_stride, const void* from, std::size_t from_stride,
                      std::size_t row_bytes, std::size_t rows) override {
        if (row_bytes == 0 || rows == 0) return;
        check_cuda(
            cudaMemcpy2DAsync(host, host_stride, from, from_stride, row_bytes, rows, cudaMemcpyDeviceToHost, stream_),
            "a copy to the host");
    }
    void lend_to_this_thread() override { check_cuda(cudaSetDevice(index_), "cudaSetDevice"); }
    void synchronize() override { check_cuda(cudaStreamSynchronize(stream_), "work on the device"); }
    void wait() noexcept override { static_cast<void>(cudaStreamSynchronize(stream_)); }
    bool holds(const void* byte) override {
        cudaPointerAttributes attributes{};
        const cudaError_t result = cudaPointerGetAttributes(&attributes, byte);
        static_cast<void>(cudaGetLastError());
        return result == cudaSuccess && attributes.type != cudaMemoryTypeUnregistered;
    }

    void launch(const PackKernel<float>& kernel) override {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_);
    }
    void launch(const PackKernel<double>& kernel) override {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_);
    }
    void launch(const NormKernel& kernel) override {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_);
    }
    void launch(const FinishKernel& kernel) override {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_);
    }
    void launch(const RescueKernel& kernel) override {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_);
    }
    void launch(const PairListKernel& kernel) override {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_);
    }
    void launch(const FewRowsArgs& args) override {
        with_few_rows_kernel(
            args, [this](const auto& kernel) { launch_cuda(kernel, kernel.blocks(), kernel.shared_bytes, stream_); });
    }
    void launch(const TileArgs& args) override {
        with_tile_kernel(args,
                         [&](const auto& kernel) { launch_cuda(kernel, args.blocks(), kernel.shared_bytes, stream_); });
    }
    void* stream() const override { return stream_; }

private:
    /// cudaFree waits for the work that uses the memory.
    void free_spare() noexcept {
        for (const auto& [bytes, memory] : spare_) static_cast<void>(cudaFree(memory));
        spare_.clear();
        spare_bytes_ = 0;
    }

    /// More than that is given back before more is asked for: it is in nobody's budget.
    static constexpr std::size_t most_spare_bytes = std::size_t{256} << 20U;

    std::map<void*, std::size_t> sizes_;
    std::multimap<std::size_t, void*> spare_;  ///< released, kept for this call: cudaMalloc and cudaFree are slow
    std::size_t spare_bytes_ = 0;
    cudaStream_t stream_ = nullptr;
    int index_;
    int before_ = 0;
    int processors_ = 1;
    std::string name_;
};

}  // namespace

void free_cuda_memory(void* memory) noexcept { static_cast<void>(cudaFree(memory)); }

bool has_cuda_code() { return true; }

std::vector<DeviceInfo> cuda_devices(std::string& no_device) {
    int count = 0;
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result != cudaSuccess || count == 0) {
        static_cast<void>(cudaGetLastError());
        no_device = "no GPU";
        if (result != cudaSuccess) no_device += std::string(": ") + cudaGetErrorString(result);
        return {};
    }
    std::vector<DeviceInfo> devices(static_cast<std::size_t>(count));
    for (int k = 0; k < count; ++k) {
        DeviceInfo& info = devices[static_cast<std::size_t>(k)];
        cudaDeviceProp properties{};
        if (cudaGetDeviceProperties(&properties, k) == cudaSuccess) {
            info.name = properties.name;
            info.major = properties.major;
            info.minor = properties.minor;
            info.total_bytes = properties.totalGlobalMem;
        }
        info.why_not = why_not(k);
    }
    return devices;
}

std::string cuda_problem(int index) {
    int count = 0;
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result != cudaSuccess || count == 0) {
        static_cast<void>(cudaGetLastError());
        return result == cudaSuccess ? "no GPU" : std::string("no GPU: ") + cudaGetErrorString(result);
    }
    if (index < 0 || index >= count) return "there is no CUDA device " + std::to_string(index);
    const std::string reason = why_not(index);
    if (reason.empty()) return {};
    int major = 0;
    int minor = 0;
    static_cast<void>(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
    static_cast<void>(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index));
    return "CUDA device " + std::to_string(index) + " (compute capability " + std::to_string(major) + "." +
           std::to_string(minor) + ") cannot run this build's kernels: " + reason;
}

std::unique_ptr<Device> open_cuda_device(int index) {
    const std::string problem = cuda_problem(index);
    if (!problem.empty()) throw Unavailable(problem);
    return std::make_unique<CudaDevice>(index);
}

}  // namespace adabet
