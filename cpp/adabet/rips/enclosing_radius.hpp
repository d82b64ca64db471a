#pragma once

#include "adabet/types.hpp"

namespace adabet {

/// min over a of max over b of d(a, b): from this length on the complex is a cone, so H1 is zero.
template <class Real>
struct EnclosingRadius {
    Real radius = infinity<Real>;
    Edge edge;  ///< from the centre to its farthest point; {-1, -1} where the radius is infinite or n < 2
};

}  // namespace adabet
