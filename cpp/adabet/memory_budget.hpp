#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <new>
#include <vector>

#include "adabet/errors.hpp"

namespace adabet {

/// Counts the engine's own bytes (beyond input and output) and refuses, before allocating, what would pass the limit.
class MemoryBudget {
public:
    explicit MemoryBudget(std::size_t limit_bytes = std::numeric_limits<std::size_t>::max()) : limit_(limit_bytes) {}
    MemoryBudget(const MemoryBudget&) = delete;
    MemoryBudget& operator=(const MemoryBudget&) = delete;

    void take(std::size_t bytes) {
        const std::size_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
        if (bytes > limit_ || before > limit_ - bytes) {
            used_.fetch_sub(bytes, std::memory_order_relaxed);
            throw BudgetExceeded(limit_, saturating_add(before, bytes), "working memory");
        }
        const std::size_t now = before + bytes;
        std::size_t seen = peak_.load(std::memory_order_relaxed);
        while (seen < now && !peak_.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
        }
    }
    void give(std::size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }

    /// 64-byte aligned, for the widest vector registers.
    [[nodiscard]] void* allocate(std::size_t bytes);
    void deallocate(void* p, std::size_t bytes) noexcept;

    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
    [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }

private:
    static std::size_t saturating_add(std::size_t a, std::size_t b) {
        return a > std::numeric_limits<std::size_t>::max() - b ? std::numeric_limits<std::size_t>::max() : a + b;
    }

    std::size_t limit_;
    std::atomic<std::size_t> used_{0};
    std::atomic<std::size_t> peak_{0};
};

/// Allocator that books every byte with a budget.
template <class T>
class BudgetAllocator {
public:
    using value_type = T;

    explicit BudgetAllocator(MemoryBudget& budget) noexcept : budget_(&budget) {}
    template <class U>
    explicit BudgetAllocator(const BudgetAllocator<U>& other) noexcept : budget_(other.budget()) {}

    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
        return static_cast<T*>(budget_->allocate(count * sizeof(T)));
    }
    void deallocate(T* p, std::size_t count) noexcept { budget_->deallocate(p, count * sizeof(T)); }
    /// Elements of trivial type start uninitialised: buffers are written before they are read.
    template <class U>
    void construct(U* p) noexcept(noexcept(::new (static_cast<void*>(p)) U)) {
        ::new (static_cast<void*>(p)) U;
    }
    template <class U, class... Args>
    void construct(U* p, Args&&... args) {
        ::new (static_cast<void*>(p)) U(static_cast<Args&&>(args)...);
    }

    [[nodiscard]] MemoryBudget* budget() const noexcept { return budget_; }
    template <class U>
    friend bool operator==(const BudgetAllocator& a, const BudgetAllocator<U>& b) {
        return a.budget() == b.budget();
    }

private:
    MemoryBudget* budget_;
};

/// A vector whose bytes are counted. `Buffer<T>(n, budget)` is uninitialised, `Buffer<T>(n, value, budget)` is filled.
template <class T>
using Buffer = std::vector<T, BudgetAllocator<T>>;

template <class T>
[[nodiscard]] Buffer<T> make_buffer(MemoryBudget& budget, std::size_t count = 0) {
    return Buffer<T>(count, BudgetAllocator<T>(budget));
}

template <class T>
[[nodiscard]] Buffer<T> make_buffer(MemoryBudget& budget, std::size_t count, const T& value) {
    return Buffer<T>(count, value, BudgetAllocator<T>(budget));
}

}  // namespace adabet
