// A build without CUDA: the symbols of cuda_lunes.cu.

#include "adabet/rips/device_rips.hpp"

namespace adabet {

template <class Real>
std::unique_ptr<LuneLaunches<Real>> cuda_lune_launches(Device&) {
    throw Unavailable("this build has no CUDA code");
}

template std::unique_ptr<LuneLaunches<float>> cuda_lune_launches(Device&);
template std::unique_ptr<LuneLaunches<double>> cuda_lune_launches(Device&);

}  // namespace adabet
