// A build with an emulated GPU: the symbols of cuda_device.cu and cuda_lunes.cu, so that tests of the package take every step
// of a call but the hardware's own. Environment variables say what it is like.

#include <cstdlib>
#include <memory>
#include <string>

#include "adabet/rips/device_rips.hpp"
#include "emulated_lunes.hpp"

namespace adabet {

namespace {

std::size_t wanted(const char* name, std::size_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::stoull(text);
}

class OneCallsDevice : public emulated::EmulatedDevice {
public:
    OneCallsDevice()
        : EmulatedDevice(wanted("EMULATED_GPU_MEMORY", std::size_t{1} << 30U)),
          largest_(wanted("EMULATED_GPU_LARGEST", std::size_t{1} << 40U)) {
        fail_after = static_cast<long>(wanted("EMULATED_GPU_STEPS", std::size_t{1} << 40U));
    }
    void* allocate(std::size_t bytes) override {
        if (bytes > largest_) throw DeviceOutOfMemory("the emulated device", bytes, largest_);
        return EmulatedDevice::allocate(bytes);
    }
    void* stream() const override { return reinterpret_cast<void*>(std::uintptr_t{0x57e0}); }

private:
    std::size_t largest_;  ///< in one piece, whatever is free
};

}  // namespace

bool has_cuda_code() { return true; }

std::vector<DeviceInfo> cuda_devices(std::string&) {
    return {{.name = "emulated", .major = 9, .minor = 0, .total_bytes = std::size_t{1} << 30U, .why_not = {}}};
}

std::string cuda_problem(int index) { return index == 0 ? "" : "there is no CUDA device " + std::to_string(index); }

std::unique_ptr<Device> open_cuda_device(int index) {
    if (index != 0) throw Unavailable(cuda_problem(index));
    return std::make_unique<OneCallsDevice>();
}

void free_cuda_memory(void* memory) noexcept { std::free(memory); }

template <class Real>
std::unique_ptr<LuneLaunches<Real>> cuda_lune_launches(Device& device) {
    return std::make_unique<emulated::EmulatedLaunches<Real>>(dynamic_cast<emulated::EmulatedDevice&>(device));
}

template std::unique_ptr<LuneLaunches<float>> cuda_lune_launches(Device&);
template std::unique_ptr<LuneLaunches<double>> cuda_lune_launches(Device&);

}  // namespace adabet
