#include "adabet/metric/cuda_calls.cuh"
#include "adabet/rips/device_rips.hpp"

namespace adabet {

namespace {

template <class Real>
class CudaLuneLaunches : public LuneLaunches<Real> {
public:
    explicit CudaLuneLaunches(Device& device) : stream_(static_cast<cudaStream_t>(device.stream())) {}

    void launch(const RowRangeKernel<Real>& kernel) override { run(kernel); }
    void launch(const HistogramKernel<Real>& kernel) override { run(kernel); }
    void launch(const NeighbourhoodKernel<Real>& kernel) override { run(kernel); }
    void launch(const ApexKernel<Real>& kernel) override { run(kernel); }
    void launch(const CriticalKernel<Real>& kernel) override { run(kernel); }

private:
    template <class Kernel>
    void run(const Kernel& kernel) {
        launch_cuda(kernel, kernel.blocks(), kernel.shared_size(), stream_);
    }

    cudaStream_t stream_;
};

}  // namespace

template <class Real>
std::unique_ptr<LuneLaunches<Real>> cuda_lune_launches(Device& device) {
    return std::make_unique<CudaLuneLaunches<Real>>(device);
}

template std::unique_ptr<LuneLaunches<float>> cuda_lune_launches(Device&);
template std::unique_ptr<LuneLaunches<double>> cuda_lune_launches(Device&);

}  // namespace adabet
