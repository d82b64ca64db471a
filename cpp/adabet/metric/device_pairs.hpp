#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "adabet/host_device.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/pair_maps.hpp"
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

/// Where distances go: both triangles of a square matrix of float or double, or a rectangle of it.
struct PairSink {
    void* out = nullptr;
    std::size_t stride = 0;
    std::size_t n = 0;
    Metric metric = Metric::euclidean;
    bool in_double = false;
    DeviceFindings* findings = nullptr;
    /// A rectangle's place in the matrix, and its size; without rows: the whole matrix, asked for by its upper triangle.
    std::size_t first_row = 0;
    std::size_t first_column = 0;
    std::size_t rows = 0;
    std::size_t columns = 0;

    [[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE bool is_whole() const { return rows == 0; }
    /// Whether a pair's distance is asked for; i == j is the zero diagonal.
    [[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE bool takes(std::size_t i, std::size_t j) const {
        // Below the first row or column a difference wraps to what no rectangle reaches.
        return is_whole() ? i <= j && j < n : i - first_row < rows && j - first_column < columns;
    }
    /// Where in `out` it goes, in elements.
    [[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE std::size_t place(std::size_t i, std::size_t j) const {
        return (i - first_row) * stride + (j - first_column);
    }
    /// Entries of the matrix or rectangle, and the pair that one of them stands for.
    [[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE std::uint64_t entries() const {
        return is_whole() ? static_cast<std::uint64_t>(n) * n : static_cast<std::uint64_t>(rows) * columns;
    }
    [[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE pair_maps::Place pair_of(std::uint64_t entry) const {
        const std::size_t width = is_whole() ? n : columns;
        return {first_row + entry / width, first_column + entry % width};
    }

    /// The sum of a pair to its distance, in place.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void put_sum(Thread& thread, std::size_t i, std::size_t j, double sum) const {
        if (!takes(i, j)) return;
        if (i == j) return write(i, j, 0.0);
        sum = marked(sum);
        if (sum < 0.0) {
            thread.add(&findings->rescues, 1);
            return write(i, j, sum);
        }
        put(thread, i, j, epilog(sum));
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void put(Thread& thread, std::size_t i, std::size_t j, double distance) const {
        note_overflow(thread, i, j, distance);
        write(i, j, distance);
    }
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double read(std::size_t i, std::size_t j) const {
        return in_double ? static_cast<const double*>(out)[place(i, j)]
                         : static_cast<double>(static_cast<const float*>(out)[place(i, j)]);
    }

    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void note_overflow(Thread& thread, std::size_t i, std::size_t j,
                                                   double distance) const {
        const double largest = in_double ? std::numeric_limits<double>::max() : 0x1.fffffefffffffp+127;
        if (!(distance <= largest)) thread.lower(&findings->overflow, i < j ? i * n + j : j * n + i);
    }
    /// The sum, or the mark of one that must be made with more care.
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double marked(double sum) const {
        // fp64 squares lose digits below 2^-1022: a sum from 2^-900 on has lost none that count.
        const bool sound = sum >= 0x1p-900 && sum <= std::numeric_limits<double>::max();
        if (!sound && sum >= 0.0 && in_double && metric == Metric::euclidean)
            return sum > 1.0 ? sum_to_rescue_large : sum_to_rescue;
        return sum;
    }
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double epilog(double sum) const {
        if (metric == Metric::euclidean) return Euclidean::epilog(sum);
        if (metric == Metric::cosine || metric == Metric::correlation) return Cosine::epilog(sum);
        return sum;
    }

private:
    ADABET_DEVICE ADABET_INLINE void write(std::size_t i, std::size_t j, double distance) const {
        const std::size_t here = place(i, j);
        if (in_double) {
            static_cast<double*>(out)[here] = distance;
            if (is_whole()) static_cast<double*>(out)[j * stride + i] = distance;
        } else {
            static_cast<float*>(out)[here] = static_cast<float>(distance);
            if (is_whole()) static_cast<float*>(out)[j * stride + i] = static_cast<float>(distance);
        }
    }
};

}  // namespace adabet
