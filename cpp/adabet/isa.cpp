#include "adabet/isa.hpp"

#include <cstdlib>
#include <string>

#include "adabet/errors.hpp"

namespace adabet {

std::string_view name(Isa isa) {
    switch (isa) {
        case Isa::avx512:
            return "avx512";
        case Isa::avx2:
            return "avx2";
        case Isa::baseline:
            break;
    }
    return "baseline";
}

std::vector<Isa> available_isas() {
    std::vector<Isa> found{Isa::baseline};
#if ADABET_X86_64
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    if (v3) found.push_back(Isa::avx2);
    if (v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found.push_back(Isa::avx512);
#endif
    return found;
}

namespace {

Isa choose() {
    const std::vector<Isa> found = available_isas();
    const char* forced = std::getenv("ADABET_ISA");
    if (forced == nullptr || *forced == '\0') return found.back();
    std::string names;
    for (const Isa isa : found) {
        if (name(isa) == forced) return isa;
        names += names.empty() ? "" : ", ";
        names += name(isa);
    }
    throw Unavailable("ADABET_ISA: got '" + std::string(forced) + "', expected one of what runs here: " + names);
}

}  // namespace

Isa active_isa() {
    static const Isa chosen = choose();
    return chosen;
}

}  // namespace adabet
