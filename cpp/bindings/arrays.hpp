#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <memory>

#include "adabet/metric/point_cloud.hpp"

namespace adabet::bindings {

/// Numbers in a caller's memory, up to three axes. Read it with or without the GIL; let it go with the GIL held.
struct ArrayView {
    const void* data = nullptr;
    ScalarType scalar = ScalarType::float32;
    std::size_t ndim = 0;
    std::array<std::size_t, 3> shape{};
    std::array<std::ptrdiff_t, 3> strides{};  ///< in elements
    std::shared_ptr<void> owner;              ///< keeps the memory alive
    int device = -1;                          ///< the CUDA device whose memory it is; -1: the host's

    /// Entry `index` of the first axis, an array with one axis less.
    [[nodiscard]] ArrayView at(std::size_t index) const;
    /// Two axes as points and coordinates; one axis as a single row.
    [[nodiscard]] PointCloud points() const;
};

/// A NumPy array, or anything with __dlpack__ in the host's memory. Nothing is copied.
/// Throws InvalidInput at scalar types, byte orders and alignments that the kernels cannot read, and at more than three
/// axes; Unavailable at memory on another device.
[[nodiscard]] ArrayView view_array(const pybind11::object& x);

/// The same, also in the memory of the current CUDA device: what the exporter has under way there comes before what is asked
/// of that stream from now on.
[[nodiscard]] ArrayView view_array_on_device(const pybind11::object& x, int device, const void* stream);

}  // namespace adabet::bindings
