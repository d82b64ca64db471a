#include "adabet/rips/enclosing_radius.hpp"

#include <algorithm>

#include "adabet/rips/kernels.hpp"

namespace adabet {

template <class Real>
EnclosingRadius<Real> enclosing_radius(const DistanceMatrix<Real>& distances, const Execution& execution) {
    const std::size_t n = distances.n;
    if (n < 2) return {};
    const RipsKernels<Real>& kernels = rips_kernels<Real>();
    LengthKey<Real> least = length_key(infinity<Real>);
    std::size_t centre = n;
    for (std::size_t a = 0; a < n; ++a) {
        if (a % 256 == 0) execution.check();
        const LengthKey<Real> farthest = kernels.row_maximum(distances.row(a), n);
        if (farthest < least) {
            least = farthest;
            centre = a;
        }
    }
    if (centre == n) return {};
    const Real* const row = distances.row(centre);
    const Real radius = length_of<Real>(least);
    std::size_t far = 0;
    while (far == centre || length_key(row[far]) != least) ++far;
    return {radius, {static_cast<Vertex>(std::min(centre, far)), static_cast<Vertex>(std::max(centre, far))}};
}

template EnclosingRadius<float> enclosing_radius(const DistanceMatrix<float>&, const Execution&);
template EnclosingRadius<double> enclosing_radius(const DistanceMatrix<double>&, const Execution&);

}  // namespace adabet
