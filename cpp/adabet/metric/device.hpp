#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "adabet/errors.hpp"
#include "adabet/memory_budget.hpp"
#include "adabet/metric/few_rows_device.hpp"
#include "adabet/metric/finish_device.hpp"
#include "adabet/metric/norm_device.hpp"
#include "adabet/metric/pack_device.hpp"
#include "adabet/metric/pair_device.hpp"
#include "adabet/metric/tile_device.hpp"

namespace adabet {

/// The device has not that much memory left; both figures are in the message.
class DeviceOutOfMemory : public std::runtime_error {
public:
    DeviceOutOfMemory(const std::string& device, std::size_t asked_bytes, std::size_t free_bytes)
        : std::runtime_error(device + " has " + std::to_string(free_bytes) + " bytes of memory free, but " +
                             std::to_string(asked_bytes) + " more are needed"),
          asked(asked_bytes),
          free(free_bytes) {}
    /// Of a call that needs memory besides what it was asked for: a kernel's code, a stream.
    DeviceOutOfMemory(const char* call, std::size_t free_bytes)
        : std::runtime_error(std::string("CUDA: ") + call + " failed for want of memory; the device has " +
                             std::to_string(free_bytes) + " bytes free"),
          free(free_bytes) {}

    std::size_t asked = 0;  ///< 0: not known
    std::size_t free;
};

/// A GPU as one call uses it: its memory and one stream, in whose order everything below runs. A failure of the device is
/// thrown as Unavailable with its reason. Tests have one that runs the same kernels on the host.
class Device {
public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;

    [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;  ///< throws DeviceOutOfMemory
    /// Work under way may still use it: it is handed out again in the stream's order.
    virtual void release(void* memory) noexcept = 0;
    /// Takes memory out of the device's care: it outlives the call and is freed by free_cuda_memory.
    [[nodiscard]] virtual void* hand_over(void* memory) = 0;
    [[nodiscard]] virtual std::size_t free_bytes() = 0;
    [[nodiscard]] virtual unsigned multiprocessors() const = 0;

    virtual void fill_zero(void* to, std::size_t bytes) = 0;
    virtual void to_device(void* to, const void* host, std::size_t bytes) = 0;
    virtual void to_host(void* host, const void* from, std::size_t bytes) = 0;
    /// `rows` rows of so many bytes, the strides in bytes as well.
    virtual void to_host_rows(void* host, std::size_t host_stride, const void* from, std::size_t from_stride,
                              std::size_t row_bytes, std::size_t rows) = 0;
    /// Waits for everything asked for so far; what went wrong in it is thrown here.
    virtual void synchronize() = 0;
    /// Another thread than the one that opened it is going to work with it, alone for now.
    virtual void lend_to_this_thread() = 0;
    /// The same, whatever went wrong.
    virtual void wait() noexcept = 0;
    /// Whether kernels can read this byte.
    [[nodiscard]] virtual bool holds(const void* byte) = 0;

    virtual void launch(const PackKernel<float>& kernel) = 0;
    virtual void launch(const PackKernel<double>& kernel) = 0;
    virtual void launch(const NormKernel& kernel) = 0;
    virtual void launch(const FewRowsArgs& args) = 0;
    virtual void launch(const TileArgs& args) = 0;
    virtual void launch(const FinishKernel& kernel) = 0;
    virtual void launch(const RescueKernel& kernel) = 0;
    virtual void launch(const PairListKernel& kernel) = 0;

    /// For the kernels of other floors, and for those whose work must come before.
    [[nodiscard]] virtual void* stream() const = 0;
};

/// The budget of a device's bytes would be passed.
class DeviceBudgetExceeded : public BudgetExceeded {
public:
    using BudgetExceeded::BudgetExceeded;
};

/// Memory of a device, booked with a budget.
template <class T>
class DeviceArray {
public:
    DeviceArray(Device& device, MemoryBudget& budget, std::size_t count)
        : device_(&device), budget_(&budget), bytes_(count * sizeof(T)) {
        if (count == 0) return;
        try {
            budget.take(bytes_);
        } catch (const BudgetExceeded& e) {
            throw DeviceBudgetExceeded(e.budget, e.needed, "working memory on the device");
        }
        try {
            data_ = static_cast<T*>(device.allocate(bytes_));
        } catch (...) {
            budget.give(bytes_);
            throw;
        }
    }
    DeviceArray(DeviceArray&& other) noexcept
        : device_(other.device_),
          budget_(other.budget_),
          bytes_(other.bytes_),
          data_(std::exchange(other.data_, nullptr)) {}
    DeviceArray& operator=(DeviceArray&&) = delete;
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    ~DeviceArray() {
        if (data_ == nullptr) return;
        device_->release(data_);
        budget_->give(bytes_);
    }

    [[nodiscard]] T* data() const { return data_; }
    /// The memory, booked no more and no longer this array's (see Device::hand_over).
    [[nodiscard]] T* hand_over() {
        if (data_ != nullptr) budget_->give(bytes_);
        return data_ == nullptr ? nullptr : static_cast<T*>(device_->hand_over(std::exchange(data_, nullptr)));
    }

private:
    Device* device_;
    MemoryBudget* budget_;
    std::size_t bytes_;
    T* data_ = nullptr;
};

struct DeviceInfo {
    std::string name;
    int major = 0;  ///< compute capability
    int minor = 0;
    std::size_t total_bytes = 0;
    std::string why_not;  ///< why its kernels cannot run; empty where they can
};

/// Whether this build has CUDA code; without it the functions below throw Unavailable or find no device.
[[nodiscard]] bool has_cuda_code();
/// The devices of this machine; where there are none, `why_not` says so. Never throws.
[[nodiscard]] std::vector<DeviceInfo> cuda_devices(std::string& why_not);
/// Why that device cannot be used by this build; empty where it can. Quick, unlike the description of all.
[[nodiscard]] std::string cuda_problem(int index);
/// Makes that device the calling thread's current one and works on a stream of its own: torch waits for no per-thread one.
/// Throws Unavailable where there is no such device, or its kernels are not in this build.
[[nodiscard]] std::unique_ptr<Device> open_cuda_device(int index);
/// Frees what hand_over gave, on whatever device it is.
void free_cuda_memory(void* memory) noexcept;

}  // namespace adabet
