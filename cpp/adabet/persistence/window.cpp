#include "adabet/persistence/window.hpp"

#include <algorithm>
#include <string>

#include "adabet/errors.hpp"

namespace adabet {

void check_threshold(double threshold) {
    if (!(threshold >= 0))
        throw InvalidInput("threshold: got " + std::to_string(threshold) + ", expected a number >= 0");
}

template <class Real>
Window<Real> filtration_window(const EnclosingRadius<Real>& enclosing, Real threshold) {
    check_threshold(static_cast<double>(threshold));
    const LengthKey<Real> radius = length_key(enclosing.radius);
    const LengthKey<Real> limit = std::min(length_key(threshold + Real{0}), longest_finite_key<Real>);
    const bool is_cone = radius <= limit;
    return {enclosing, is_cone, is_cone ? radius : limit, is_cone ? radius - 1 : limit};
}

template Window<float> filtration_window(const EnclosingRadius<float>&, float);
template Window<double> filtration_window(const EnclosingRadius<double>&, double);

}  // namespace adabet
