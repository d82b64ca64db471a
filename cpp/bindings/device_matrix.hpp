#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <memory>

namespace adabet::bindings {

/// A square matrix of float or double in a CUDA device's memory, on offer through DLPack.
struct DeviceMatrixOwner {
    std::shared_ptr<void> memory;
    std::size_t n = 0;
    std::size_t real_size = 0;
    int device = 0;
};

void register_device_matrix(pybind11::module_& module);

}  // namespace adabet::bindings
