// A build without CUDA: the symbols of cuda_device.cu.

#include "adabet/metric/device.hpp"

namespace adabet {

namespace {

constexpr const char* no_code = "this build has no CUDA code";

}  // namespace

bool has_cuda_code() { return false; }

void free_cuda_memory(void*) noexcept {}

std::vector<DeviceInfo> cuda_devices(std::string& why_not) {
    why_not = no_code;
    return {};
}

std::string cuda_problem(int) { return no_code; }

std::unique_ptr<Device> open_cuda_device(int) { throw Unavailable(no_code); }

}  // namespace adabet
