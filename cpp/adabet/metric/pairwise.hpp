#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "adabet/execution.hpp"
#include "adabet/metric/distance_output.hpp"
#include "adabet/metric/point_cloud.hpp"
#include "adabet/types.hpp"

namespace adabet {

enum class Metric { euclidean, sqeuclidean, cityblock, chebyshev, cosine, correlation };

/// Throws InvalidInput where no native metric has that name; the message lists those that do.
[[nodiscard]] Metric metric_from_name(std::string_view name);
[[nodiscard]] std::vector<std::string_view> metric_names();

/// All distances of a point cloud into a square matrix (both triangles, zero diagonal), rows `stride` elements apart.
/// Real = float: the contract of the fp32 path (fp64 throughout for float64 input); Real = double: fp64 throughout.
/// The bits depend on the two points, the metric and d alone: not on n, threads, or the instruction set.
/// Point i is row order[i] of the cloud where an order is given (it may name fewer rows); errors name the cloud's rows.
/// Throws InvalidInput at a NaN or an infinity in the points (naming its row and column), and where a distance overflows Real.
template <class Real>
void pairwise_distances(const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                        const Execution& execution, std::span<const Vertex> order = {});

/// The same, in either form: `out.n` are the cloud's points, all of them.
template <class Real>
void pairwise_distances(const PointCloud& points, Metric metric, const DistanceOutput<Real>& out,
                        const Execution& execution);

/// Bytes of working memory that a call above takes at most.
[[nodiscard]] std::size_t pairwise_distances_bytes(const PointCloud& points, Metric metric, std::size_t real_size,
                                                   int n_threads);

/// The same for many clouds in one call, each into outs[i], which has entries_of(form, n) entries: many clouds, or small
/// ones, a thread each, in scratch that is kept from one to the next; few large ones in turn, all threads in each.
/// What a cloud is refused for begins with its index: "cloud 3: ...".
template <class Real>
void pairwise_distances_batch(std::span<const PointCloud> clouds, Metric metric, MatrixForm form,
                              std::span<Real* const> outs, const Execution& execution);

/// Bytes of working memory that the call above takes at most.
[[nodiscard]] std::size_t pairwise_distances_batch_bytes(std::span<const PointCloud> clouds, Metric metric,
                                                         std::size_t real_size, int n_threads);

}  // namespace adabet
