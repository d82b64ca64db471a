#pragma once

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"

namespace adabet {

/// One thread's sums of A x A pairs, the lanes of a chunk one after another in the order of pair_maps::lane_of_leaf. That
/// order makes the fold by halves of chain.hpp a binary counter: a finished sum of 2^k lanes waits for the next one of as
/// many. So a pair needs seven sums at a time, not 32.
template <class Core, class T, unsigned A>
class LeafTree {
public:
    ADABET_DEVICE ADABET_INLINE void start_leaf() {
        for_each([this](unsigned i, unsigned j) { run_[i][j] = T{0}; });
    }
    ADABET_DEVICE ADABET_INLINE void step(const T* a, const T* b) {
        for_each([&](unsigned i, unsigned j) { run_[i][j] = Core::take(run_[i][j], rounded::subtract(a[i], b[j])); });
    }
    /// Takes the leaf into the tree; with the last one the chunk is there, and take(i, j, sum) is called for each pair.
    /// Pair by pair, not level by level, lest all pairs' sums be under way at once.
    template <class Take>
    ADABET_DEVICE ADABET_INLINE void end_leaf(unsigned leaf, Take&& take) {
        if ((leaf & 1U) == 0) {
            for_each([this](unsigned i, unsigned j) { one_[i][j] = run_[i][j]; });
        } else if ((leaf & 2U) == 0) {
            for_each([this](unsigned i, unsigned j) { two_[i][j] = twice(i, j); });
        } else if ((leaf & 4U) == 0) {
            for_each([this](unsigned i, unsigned j) { four_[i][j] = four_times(i, j); });
        } else if ((leaf & 8U) == 0) {
            for_each([this](unsigned i, unsigned j) { eight_[i][j] = Core::join(four_[i][j], four_times(i, j)); });
        } else if ((leaf & 16U) == 0) {
            for_each([this](unsigned i, unsigned j) { sixteen_[i][j] = sixteen_times(i, j); });
        } else {
            for_each([&](unsigned i, unsigned j) { take(i, j, Core::join(sixteen_[i][j], sixteen_times(i, j))); });
        }
    }

    [[nodiscard]] ADABET_DEVICE ADABET_INLINE T leaf(unsigned i, unsigned j) const { return run_[i][j]; }

private:
    ADABET_DEVICE ADABET_INLINE T twice(unsigned i, unsigned j) const { return Core::join(one_[i][j], run_[i][j]); }
    ADABET_DEVICE ADABET_INLINE double four_times(unsigned i, unsigned j) const {
        return static_cast<double>(Core::join(two_[i][j], twice(i, j)));
    }
    ADABET_DEVICE ADABET_INLINE double sixteen_times(unsigned i, unsigned j) const {
        return Core::join(eight_[i][j], Core::join(four_[i][j], four_times(i, j)));
    }

    template <class Body>
    ADABET_DEVICE static ADABET_INLINE void for_each(Body&& body) {
        ADABET_UNROLL
        for (unsigned i = 0; i < A; ++i) ADABET_UNROLL
        for (unsigned j = 0; j < A; ++j) body(i, j);
    }

    T run_[A][A] = {};
    T one_[A][A] = {};
    T two_[A][A] = {};
    double four_[A][A] = {};
    double eight_[A][A] = {};
    double sixteen_[A][A] = {};
};

}  // namespace adabet
