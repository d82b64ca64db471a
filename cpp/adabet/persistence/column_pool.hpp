#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <vector>

#include "adabet/memory_budget.hpp"

namespace adabet {

/// Room for many short columns: rooms of one size class are handed on, and none has a header. Long ones are allocated on
/// their own.
class ColumnPool {
public:
    explicit ColumnPool(MemoryBudget& budget) : budget_(budget) {}
    ColumnPool(const ColumnPool&) = delete;
    ColumnPool& operator=(const ColumnPool&) = delete;
    ~ColumnPool() {
        for (const Chunk& chunk : chunks_) budget_.deallocate(chunk.data, chunk.bytes);
    }

    /// The bytes of the room that `bytes` are given: what fits in it stays where it is.
    [[nodiscard]] static std::size_t room(std::size_t bytes) {
        return bytes == 0 ? 0 : bytes <= kLargest ? std::bit_ceil(bytes < kSmallest ? kSmallest : bytes) : bytes;
    }

    /// Aligned to 8 bytes.
    [[nodiscard]] void* take(std::size_t bytes) {
        if (bytes > kLargest) return budget_.allocate(bytes);
        void*& first = free_[size_class(bytes)];
        if (first == nullptr) return cut(room(bytes));
        void* const taken = first;
        first = *static_cast<void**>(taken);
        return taken;
    }
    /// `bytes` as they were asked for.
    void give(void* data, std::size_t bytes) noexcept {
        if (bytes > kLargest) {
            budget_.deallocate(data, bytes);
            return;
        }
        void*& first = free_[size_class(bytes)];
        *static_cast<void**>(data) = first;
        first = data;
    }

private:
    static constexpr std::size_t kSmallest = sizeof(void*);
    static constexpr std::size_t kLargest = 4096;
    static constexpr std::size_t kFirstChunk = 4096;
    static constexpr std::size_t kLargestChunk = std::size_t{1} << 18;

    struct Chunk {
        void* data;
        std::size_t bytes;
    };

    static std::size_t size_class(std::size_t bytes) {
        return static_cast<std::size_t>(std::bit_width(room(bytes) / kSmallest) - 1);
    }
    void* cut(std::size_t bytes) {
        if (left_ < bytes) {
            // What is left of the chunk is too small for this class: less than one room a chunk is lost.
            const std::size_t size = chunks_.empty() ? kFirstChunk : std::min(kLargestChunk, 2 * chunks_.back().bytes);
            chunks_.reserve(chunks_.size() + 1);
            chunks_.push_back({budget_.allocate(size), size});
            next_ = static_cast<std::byte*>(chunks_.back().data);
            left_ = size;
        }
        void* const taken = next_;
        next_ += bytes;
        left_ -= bytes;
        return taken;
    }

    MemoryBudget& budget_;
    std::vector<Chunk> chunks_;
    std::byte* next_ = nullptr;
    std::size_t left_ = 0;
    std::array<void*, 10> free_{};  ///< rooms of 8, 16 ... 4096 bytes, each holding the address of the next
};

}  // namespace adabet
