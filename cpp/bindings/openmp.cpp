#include "bindings/openmp.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace adabet::bindings {

#if defined(__unix__) || defined(__APPLE__)

namespace {

// What GCC makes of `#pragma omp parallel`; LLVM's and Intel's runtimes have it too.
using RunInTeam = void (*)(void (*body)(void*), void* data, unsigned n_threads, unsigned flags);
using ThreadNumber = int (*)();

template <class Function>
Function find(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

struct Loan {
    int count;
    const std::function<void(int)>* body;
    ThreadNumber number;
};

}  // namespace

Lender openmp_lender(int team) {
    const auto run = find<RunInTeam>("GOMP_parallel");
    const auto number = find<ThreadNumber>("omp_get_thread_num");
    if (run == nullptr || number == nullptr) return {};
    return [run, number, team](int count, const std::function<void(int)>& body) {
        Loan loan{.count = count, .body = &body, .number = number};
        run(
            [](void* data) {
                const auto& lent = *static_cast<const Loan*>(data);
                const int k = lent.number();
                if (k < lent.count) (*lent.body)(k);
            },
            &loan, static_cast<unsigned>(team), 0);
    };
}

#else

Lender openmp_lender(int /*team*/) { return {}; }

#endif

}  // namespace adabet::bindings
