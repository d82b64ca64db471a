#pragma once

#include <string_view>
#include <vector>

/// Kernels by instruction set: one always-inline template, three named wrappers with a target attribute, one table.
#define ADABET_INLINE inline __attribute__((always_inline))

#if defined(__x86_64__) && defined(__GNUC__)
#define ADABET_X86_64 1
#define ADABET_TARGET_AVX2 __attribute__((target("arch=x86-64-v3")))
#if defined(__clang__)  // knows no prefer-vector-width here, and would ignore the whole attribute
#define ADABET_TARGET_AVX512 __attribute__((target("arch=x86-64-v4")))
#else
#define ADABET_TARGET_AVX512 __attribute__((target("arch=x86-64-v4,prefer-vector-width=512")))
#endif
#else
#define ADABET_X86_64 0
#define ADABET_TARGET_AVX2
#define ADABET_TARGET_AVX512
#endif

namespace adabet {

enum class Isa { baseline = 0, avx2 = 1, avx512 = 2 };

[[nodiscard]] std::string_view name(Isa isa);

/// What this processor and this build can run, weakest first; `baseline` is always among them.
[[nodiscard]] std::vector<Isa> available_isas();

/// The widest one available, or the one that ADABET_ISA names. Chosen once.
/// Throws Unavailable where ADABET_ISA names one that cannot run here, or none that exists.
[[nodiscard]] Isa active_isa();

}  // namespace adabet
