#pragma once

#include <cstddef>
#include <cstdint>

#include "adabet/isa.hpp"

namespace adabet {

/// Eight words of a row of bits, handled as one: a vector type, since compilers unroll a loop of eight words before they
/// come to vectorise it. On narrower machines it becomes two or four registers.
using WordBlock = std::uint64_t __attribute__((vector_size(64), aligned(64), may_alias));

[[nodiscard]] ADABET_INLINE const WordBlock& block_at(const std::uint64_t* words) {
    return *reinterpret_cast<const WordBlock*>(words);  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
}
[[nodiscard]] ADABET_INLINE WordBlock& block_at(std::uint64_t* words) {
    return *reinterpret_cast<WordBlock*>(words);  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
}

[[nodiscard]] ADABET_INLINE bool any_bit(const WordBlock& block) {
    const auto half =
        __builtin_shufflevector(block, block, 0, 1, 2, 3) | __builtin_shufflevector(block, block, 4, 5, 6, 7);
    const auto quarter = __builtin_shufflevector(half, half, 0, 1) | __builtin_shufflevector(half, half, 2, 3);
    return (quarter[0] | quarter[1]) != 0;
}

}  // namespace adabet
