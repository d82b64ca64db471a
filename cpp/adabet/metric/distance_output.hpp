#pragma once

#include <cstddef>

namespace adabet {

/// How distances are laid out: a square, both triangles; or the entries above its diagonal alone, row after row.
enum class MatrixForm { square, condensed };

[[nodiscard]] constexpr std::size_t entries_of(MatrixForm form, std::size_t n) {
    return form == MatrixForm::square ? n * n : n < 2 ? 0 : n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n;
}

/// Where the distances of n points go.
template <class Real>
struct DistanceOutput {
    Real* out;
    std::size_t n;
    std::size_t stride;  ///< of a square's rows
    MatrixForm form = MatrixForm::square;

    /// The place of d(i, j), which those of (i, j + 1), ... follow; i < j where only they are kept.
    [[nodiscard]] Real* at(std::size_t i, std::size_t j) const {
        return form == MatrixForm::square ? out + i * stride + j
                                          : out + (entries_of(form, n) - entries_of(form, n - i)) + (j - i - 1);
    }
};

}  // namespace adabet
