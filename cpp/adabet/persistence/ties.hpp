#pragma once

#include <cstddef>

#include "adabet/execution.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/rips/block_bounds.hpp"
#include "adabet/rips/distances.hpp"

namespace adabet {

/// Bars of length zero among those that are born.
///
/// A bar [l, l] pairs a birth and a critical edge of one length. Columns of earlier edges have no entry among the births of
/// length l, and these are the youngest there are, so the number of such bars is the rank of the columns of length l
/// restricted to the births of length l. Flow never lengthens an edge, so only edges of length exactly l matter on the
/// way, and a column without one in its cycle is zero: nothing is to be done unless two edges of one length that gives
/// birth share an end. Those few are settled from the distances, without a reduction of anything else.
struct ZeroBars {
    bool settled = true;    ///< false: too many ties for this way; `count` says nothing
    std::size_t count = 0;  ///< bars of length zero
};

template <class Real>
[[nodiscard]] ZeroBars count_zero_bars(const Distances<Real>& distances, const BlockBounds<Real>& bounds,
                                       const Births<Real>& births, const Execution& execution);

}  // namespace adabet
