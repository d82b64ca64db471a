#include "adabet/memory_budget.hpp"

#include <new>

namespace adabet {

namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

void* MemoryBudget::allocate(std::size_t bytes) {
    take(bytes);
    try {
        return ::operator new(bytes, kAlignment);
    } catch (...) {
        give(bytes);
        throw;
    }
}

void MemoryBudget::deallocate(void* p, std::size_t bytes) noexcept {
    ::operator delete(p, kAlignment);
    give(bytes);
}

}  // namespace adabet
