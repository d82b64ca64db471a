#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "adabet/host_device.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/row_norm.hpp"

/// What the distance kernels of a device share. A kernel is a struct with its arguments and an operator() for one thread of
/// it; `Thread` is what a thread knows and can do: CudaThread on a GPU, an emulated one in host tests.
namespace adabet {

inline constexpr std::uint64_t nowhere = std::numeric_limits<std::uint64_t>::max();

/// What the kernels of a call found, in device memory.
struct DeviceFindings {
    std::uint64_t non_finite = nowhere;         ///< row * d + column of the first NaN or infinity
    std::uint64_t without_direction = nowhere;  ///< the first row that has no cosine or correlation
    std::uint64_t overflow = nowhere;           ///< row * n + column of the first distance that overflows
    std::uint64_t rescues = 0;                  ///< pairs whose distance waits for RescueKernel
};

/// A sum is never negative; these stand in for one that the kernel could not make.
inline constexpr double sum_to_rescue = -1.0;
inline constexpr double sum_to_rescue_large = -2.0;

template <class T>
[[nodiscard]] ADABET_DEVICE ADABET_INLINE T load(const PointCloud& points, std::size_t row, std::size_t column) {
    const void* const at = address_of(points, row, column);
    switch (points.scalar) {
        case ScalarType::float16:
            return load_as<T>(*static_cast<const Half*>(at));
        case ScalarType::bfloat16:
            return load_as<T>(*static_cast<const BrainFloat*>(at));
        case ScalarType::float32:
            return load_as<T>(*static_cast<const float*>(at));
        case ScalarType::float64:
            return load_as<T>(*static_cast<const double*>(at));
        case ScalarType::int8:
            return load_as<T>(*static_cast<const std::int8_t*>(at));
        case ScalarType::int16:
            return load_as<T>(*static_cast<const std::int16_t*>(at));
        case ScalarType::int32:
            return load_as<T>(*static_cast<const std::int32_t*>(at));
        case ScalarType::int64:
            return load_as<T>(*static_cast<const std::int64_t*>(at));
        case ScalarType::uint8:
            return load_as<T>(*static_cast<const std::uint8_t*>(at));
        case ScalarType::uint16:
            return load_as<T>(*static_cast<const std::uint16_t*>(at));
        case ScalarType::uint32:
            return load_as<T>(*static_cast<const std::uint32_t*>(at));
        case ScalarType::uint64:
            return load_as<T>(*static_cast<const std::uint64_t*>(at));
        case ScalarType::boolean:
            break;
    }
    return load_as<T>(*static_cast<const Boolean*>(at));
}

template <class T>
[[nodiscard]] ADABET_DEVICE ADABET_INLINE bool is_finite(T value) {
    const T size = value < T{0} ? -value : value;
    return size <= std::numeric_limits<T>::max();
}

/// Whether fp32 may lose the square of a difference with this entry.
[[nodiscard]] ADABET_DEVICE ADABET_INLINE bool is_tiny(float value) {
    const float size = value < 0.0F ? -value : value;
    return size != 0.0F && size < chain::smallest_plain;
}

/// Where distances go: both triangles of a square matrix of float or double.
struct PairSink {
    void* out = nullptr;
    std::size_t stride = 0;
    std::size_t n = 0;
    Metric metric = Metric::euclidean;
    bool in_double = false;
    DeviceFindings* findings = nullptr;

    /// The sum of a pair i <= j to its distance, in place; i == j is the zero diagonal, j >= n no pair.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void put_sum(Thread& thread, std::size_t i, std::size_t j, double sum) const {
        if (i > j || j >= n) return;
        if (i == j) return write(i, j, 0.0);
        // fp64 squares lose digits below 2^-1022: a sum from 2^-900 on has lost none that count.
        const bool sound = sum >= 0x1p-900 && sum <= std::numeric_limits<double>::max();
        if (!sound && sum >= 0.0 && in_double && metric == Metric::euclidean)
            sum = sum > 1.0 ? sum_to_rescue_large : sum_to_rescue;
        if (sum < 0.0) {
            thread.add(&findings->rescues, 1);
            return write(i, j, sum);
        }
        put(thread, i, j, epilog(sum));
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void put(Thread& thread, std::size_t i, std::size_t j, double distance) const {
        const double largest = in_double ? std::numeric_limits<double>::max() : 0x1.fffffefffffffp+127;
        if (!(distance <= largest)) thread.lower(&findings->overflow, i * n + j);
        write(i, j, distance);
    }
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double read(std::size_t i, std::size_t j) const {
        return in_double ? static_cast<const double*>(out)[i * stride + j]
                         : static_cast<double>(static_cast<const float*>(out)[i * stride + j]);
    }

private:
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double epilog(double sum) const {
        if (metric == Metric::euclidean) return Euclidean::epilog(sum);
        if (metric == Metric::cosine || metric == Metric::correlation) return Cosine::epilog(sum);
        return sum;
    }
    ADABET_DEVICE ADABET_INLINE void write(std::size_t i, std::size_t j, double distance) const {
        if (in_double) {
            static_cast<double*>(out)[i * stride + j] = distance;
            static_cast<double*>(out)[j * stride + i] = distance;
        } else {
            static_cast<float*>(out)[i * stride + j] = static_cast<float>(distance);
            static_cast<float*>(out)[j * stride + i] = static_cast<float>(distance);
        }
    }
};

}  // namespace adabet
