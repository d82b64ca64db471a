#pragma once

#include <cstddef>

/// Included by kernels.cpp alone.
namespace adabet {

/// Vectors of so many T. Where the house has plain loops: from those GCC made shuffles across pairs here, or scalar code.
/// They are passed by reference, since how they are passed by value depends on the instruction set.
template <class T, std::size_t count>
struct VectorOf {
    using type __attribute__((vector_size(count * sizeof(T)), may_alias)) = T;
};
template <class T, std::size_t count>
using Vector = VectorOf<T, count>::type;

}  // namespace adabet
