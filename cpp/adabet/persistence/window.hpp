#pragma once

#include "adabet/rips/enclosing_radius.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// Which lengths matter: up to the threshold or the enclosing radius, whichever is shorter.
template <class Real>
struct Window {
    EnclosingRadius<Real> enclosing;
    bool is_cone;                   ///< the radius is reached: H1 is zero from there on
    LengthKey<Real> longest;        ///< last length of the relative neighbourhood graph (H0 needs the radius itself)
    LengthKey<Real> longest_birth;  ///< last length that can give a bar: at the radius, birth and death coincide
};

/// Throws InvalidInput where `threshold` is NaN or negative.
template <class Real>
[[nodiscard]] Window<Real> filtration_window(const EnclosingRadius<Real>& enclosing, Real threshold);

void check_threshold(double threshold);  ///< throws as above

}  // namespace adabet
