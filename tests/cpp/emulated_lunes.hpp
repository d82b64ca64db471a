#pragma once

#include <vector>

#include "adabet/rips/device_rips.hpp"
#include "emulated_device.hpp"

namespace emulated {

template <class Real>
class EmulatedLaunches : public LuneLaunches<Real> {
public:
    explicit EmulatedLaunches(EmulatedDevice& device) : device_(device) {}

    void launch(const RowRangeKernel<Real>& kernel) override { run(kernel); }
    void launch(const HistogramKernel<Real>& kernel) override { run(kernel); }
    void launch(const NeighbourhoodKernel<Real>& kernel) override { run(kernel); }
    void launch(const ApexKernel<Real>& kernel) override { run(kernel); }
    void launch(const CriticalKernel<Real>& kernel) override {
        if (!in_global_memory) return run(kernel);
        CriticalKernel<Real> other = kernel;
        const std::size_t words = kernel.blocks() * other.warps * 2 * other.words(kernel.matrix.n);
        std::vector<std::uint32_t> bits(words, 0xffffffffU);
        other.bits = bits.data();
        run(other);
    }
    bool in_global_memory = false;

private:
    template <class Kernel>
    void run(const Kernel& kernel) {
        device_.run_kernel(kernel, kernel.blocks(), kernel.shared_size());
    }
    EmulatedDevice& device_;
};

}  // namespace emulated
