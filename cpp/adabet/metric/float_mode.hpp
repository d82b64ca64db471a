#pragma once

#include "adabet/isa.hpp"

#if ADABET_X86_64
#include <immintrin.h>
#endif

namespace adabet {

/// For its lifetime this thread rounds to nearest and keeps denormals, whatever its caller set (torch.set_flush_denormal,
/// a library built with -ffast-math): the distances' bits must not depend on it.
class [[maybe_unused]] PlainFloatMode {  // elsewhere than on x86-64 its variables do nothing
public:
#if ADABET_X86_64
    PlainFloatMode() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80U); }
    ~PlainFloatMode() { _mm_setcsr(saved_); }
#else
    PlainFloatMode() = default;
    ~PlainFloatMode() = default;
#endif
    PlainFloatMode(const PlainFloatMode&) = delete;
    PlainFloatMode& operator=(const PlainFloatMode&) = delete;
    PlainFloatMode(PlainFloatMode&&) = delete;
    PlainFloatMode& operator=(PlainFloatMode&&) = delete;

#if ADABET_X86_64
private:
    unsigned saved_;
#endif
};

}  // namespace adabet
