#pragma once

// A device on the host: the kernels' own code, each block's threads as fibers that meet at barriers and shuffles. What a
// GPU would do in parallel happens here in sequence, forwards or backwards; the sanitizers watch every address.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "adabet/metric/device.hpp"
#include "stack_switch.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulated {

using namespace adabet;

/// All must come before any goes on.
struct Barrier {
    unsigned size = 0;
    unsigned arrived = 0;
    unsigned generation = 0;
};

class Block;

class Thread {
public:
    Thread(Block& block, unsigned index) : block_(block), index_(index) {}

    [[nodiscard]] unsigned thread() const { return index_; }
    [[nodiscard]] unsigned lane() const { return index_ % 32; }
    [[nodiscard]] unsigned warp() const { return index_ / 32; }
    [[nodiscard]] std::uint64_t block() const;
    [[nodiscard]] std::uint64_t n_blocks() const;
    [[nodiscard]] void* shared() const;

    void sync_block();
    void sync_warp();

    template <class T>
    T from_lane(T value, unsigned lane);
    template <class T>
    T from_lane_xor(T value, unsigned distance) {
        return from_lane(value, lane() ^ distance);
    }
    std::uint32_t ballot(bool is_set);
    bool any(bool is_set) { return ballot(is_set) != 0; }
    static unsigned lowest_bit(std::uint32_t bits) { return static_cast<unsigned>(__builtin_ctz(bits)); }

    std::uint64_t add(std::uint64_t* counter, std::uint64_t amount) {
        const std::uint64_t before = *counter;
        *counter += amount;
        return before;
    }
    void lower(std::uint64_t* least, std::uint64_t value) { *least = std::min(*least, value); }
    std::uint32_t add_shared(std::uint32_t* counter, std::uint32_t amount) {
        const std::uint32_t before = *counter;
        *counter += amount;
        return before;
    }
    void raise(std::uint32_t* largest, std::uint32_t value) { *largest = std::max(*largest, value); }

    /// Copies land as late as they may: when the batch is waited for.
    template <unsigned bytes>
    void copy_async(void* to, const void* from);
    void commit_async() { ++batches_; }
    template <unsigned pending>
    void wait_async() {
        while (!copies_.empty() && copies_.front().batch + pending < batches_) {
            std::memcpy(copies_.front().to, copies_.front().from, copies_.front().bytes);
            copies_.erase(copies_.begin());
        }
    }

private:
    struct Copy {
        unsigned batch;
        unsigned bytes;
        void* to;
        const void* from;
    };
    Block& block_;
    unsigned index_;
    unsigned batches_ = 0;
    std::vector<Copy> copies_;
};

/// One block at a time: its threads take turns on this system thread.
class Block {
public:
    explicit Block(unsigned threads) : fibers_(threads), warps_(threads / 32), warp_barriers_(threads / 32) {
        for (Fiber& fiber : fibers_) fiber.stack.resize(stack_bytes);
    }
    /// This system thread's block of so many threads: their stacks are kept from one launch to the next.
    static Block& of(unsigned threads, std::size_t shared_bytes, bool backwards) {
        static thread_local std::map<unsigned, Block> blocks;
        Block& block = blocks.try_emplace(threads, threads).first->second;
        std::free(block.shared_);
        block.shared_ = std::aligned_alloc(64, std::max<std::size_t>(64, (shared_bytes + 63) / 64 * 64));
        block.shared_bytes_ = shared_bytes;
        block.backwards_ = backwards;
        return block;
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() { std::free(shared_); }

    void run(std::uint64_t block, std::uint64_t n_blocks, const std::function<void(Thread&)>& body) {
        index = block;
        size = n_blocks;
        body_ = &body;
        std::memset(shared_, 0xff, shared_bytes_);  // NaN: nothing may be read before it is written
        block_barrier_ = {static_cast<unsigned>(fibers_.size()), 0, 0};
        for (Barrier& barrier : warp_barriers_) barrier = {32, 0, 0};
        for (unsigned t = 0; t < fibers_.size(); ++t) start(t);
        for (unsigned left = static_cast<unsigned>(fibers_.size()); left > 0;) {
            const unsigned before = progress_;
            for (unsigned k = 0; k < fibers_.size(); ++k) {
                const unsigned t = backwards_ ? static_cast<unsigned>(fibers_.size()) - 1 - k : k;
                if (fibers_[t].done) continue;
                resume(t);
                if (fibers_[t].done) {
                    --left;
                    leave(t);
                }
            }
            if (left > 0 && progress_ == before) throw std::logic_error("the threads of a block wait for each other");
        }
    }

    void wait(Barrier& barrier) {
        ++progress_;
        const unsigned generation = barrier.generation;
        if (++barrier.arrived == barrier.size) {
            barrier.arrived = 0;
            ++barrier.generation;
            return;
        }
        while (barrier.generation == generation) yield();
    }
    Barrier& block_barrier() { return block_barrier_; }
    Barrier& warp_barrier(unsigned warp) { return warp_barriers_[warp]; }
    std::array<std::uint64_t, 32>& exchange(unsigned warp) { return warps_[warp]; }
    [[nodiscard]] void* shared() const { return shared_; }

    std::uint64_t index = 0;
    std::uint64_t size = 0;

private:
    static constexpr std::size_t stack_bytes = std::size_t{64} << 10U;

    struct Fiber {
        Place place;
        std::vector<char> stack;
        bool done = true;
        void* fake_stack = nullptr;
    };

    void start(unsigned t) {
        Fiber& fiber = fibers_[t];
        fiber.done = false;
        prepare(fiber.place, fiber.stack.data(), fiber.stack.size(), &Block::entry);
    }
    static void entry() {
        Block* const block = running_;
        const unsigned t = block->current_;
        block->arrived(nullptr);
        {
            Thread thread(*block, t);  // this function is left by a switch and never returns: its locals end here
            (*block->body_)(thread);
        }
        block->fibers_[t].done = true;
        ++block->progress_;
        block->leaving_ = true;
        block->yield();
    }

    void resume(unsigned t) {
        current_ = t;
        running_ = this;
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&main_fake_stack_, fibers_[t].stack.data(), fibers_[t].stack.size());
#endif
        switch_places(main_, fibers_[t].place);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(main_fake_stack_, nullptr, nullptr);
#endif
    }
    void yield() {
        Fiber& fiber = fibers_[current_];
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(leaving_ ? nullptr : &fiber.fake_stack, main_stack_, main_stack_bytes_);
#endif
        leaving_ = false;
        switch_places(fiber.place, main_);
        arrived(fiber.fake_stack);
    }
    void arrived([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake_stack, &main_stack_, &main_stack_bytes_);
#endif
    }
    /// A thread that has ended is waited for no more.
    void leave(unsigned t) {
        for (Barrier* barrier : {&block_barrier_, &warp_barriers_[t / 32]}) {
            --barrier->size;
            if (barrier->size > 0 && barrier->arrived == barrier->size) {
                barrier->arrived = 0;
                ++barrier->generation;
                ++progress_;
            }
        }
    }

    bool backwards_ = false;
    std::vector<Fiber> fibers_;
    std::vector<std::array<std::uint64_t, 32>> warps_;
    std::vector<Barrier> warp_barriers_;
    Barrier block_barrier_;
    void* shared_ = nullptr;
    std::size_t shared_bytes_ = 0;
    const std::function<void(Thread&)>* body_ = nullptr;
    Place main_;
    inline static thread_local Block* running_ = nullptr;  ///< for its threads' first step
    unsigned current_ = 0;
    unsigned progress_ = 0;
    bool leaving_ = false;
    [[maybe_unused]] void* main_fake_stack_ = nullptr;
    [[maybe_unused]] const void* main_stack_ = nullptr;
    [[maybe_unused]] std::size_t main_stack_bytes_ = 0;
};

inline std::uint64_t Thread::block() const { return block_.index; }
inline std::uint64_t Thread::n_blocks() const { return block_.size; }
inline void* Thread::shared() const { return block_.shared(); }
inline void Thread::sync_block() { block_.wait(block_.block_barrier()); }
inline void Thread::sync_warp() { block_.wait(block_.warp_barrier(warp())); }
template <unsigned bytes>
void Thread::copy_async(void* to, const void* from) {
    if (reinterpret_cast<std::uintptr_t>(to) % bytes != 0 || reinterpret_cast<std::uintptr_t>(from) % bytes != 0)
        throw std::logic_error("copy_async: an address is no multiple of the size");
    copies_.push_back({batches_, bytes, to, from});
}
template <class T>
T Thread::from_lane(T value, unsigned lane_index) {
    static_assert(sizeof(T) <= 8);
    auto& exchange = block_.exchange(warp());
    std::memcpy(&exchange[lane()], &value, sizeof value);
    sync_warp();
    T got;
    std::memcpy(&got, &exchange[lane_index], sizeof got);
    sync_warp();
    return got;
}
inline std::uint32_t Thread::ballot(bool is_set) {
    auto& exchange = block_.exchange(warp());
    exchange[lane()] = is_set ? 1 : 0;
    sync_warp();
    std::uint32_t bits = 0;
    for (unsigned l = 0; l < 32; ++l) bits |= static_cast<std::uint32_t>(exchange[l]) << l;
    sync_warp();
    return bits;
}

/// Runs a kernel's whole grid.
template <class Kernel>
void run(const Kernel& kernel, std::uint64_t n_blocks, std::size_t shared_bytes, bool backwards) {
    Block& block = Block::of(Kernel::threads, shared_bytes, backwards);
    for (std::uint64_t k = 0; k < n_blocks; ++k) {
        const std::uint64_t index = backwards ? n_blocks - 1 - k : k;
        block.run(index, n_blocks, [&kernel](Thread& thread) { kernel(thread); });
    }
}

class EmulatedDevice : public Device {
public:
    explicit EmulatedDevice(std::size_t memory_bytes = std::size_t{1} << 30U, unsigned processors = 4)
        : left_(memory_bytes), processors_(processors) {}
    ~EmulatedDevice() override {
        for (const auto& [memory, bytes] : allocated_) std::free(memory);
    }

    bool backwards = false;  ///< blocks and threads in the other order
    long fail_after = -1;    ///< from this many steps on everything fails, as on a lost device

    [[nodiscard]] std::size_t allocations() const { return allocated_.size(); }

    void* allocate(std::size_t bytes) override {
        step("allocate");
        if (bytes > left_) throw DeviceOutOfMemory("the emulated device", bytes, left_);
        void* const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
        std::memset(memory, 0xff, bytes);
        allocated_[memory] = bytes;
        left_ -= bytes;
        return memory;
    }
    void release(void* memory) noexcept override {
        left_ += allocated_.extract(memory).mapped();
        std::free(memory);
    }
    void* hand_over(void* memory) override { return allocated_.extract(memory).key(); }
    std::size_t free_bytes() override { return left_; }
    unsigned multiprocessors() const override { return processors_; }
    void fill_zero(void* to, std::size_t bytes) override {
        step("fill");
        if (bytes > 0) std::memset(to, 0, bytes);
    }
    void to_device(void* to, const void* host, std::size_t bytes) override {
        step("copy to the device");
        if (bytes > 0) std::memcpy(to, host, bytes);
    }
    void to_host(void* host, const void* from, std::size_t bytes) override {
        step("copy to the host");
        if (bytes > 0) std::memcpy(host, from, bytes);
    }
    void to_host_rows(void* host, std::size_t host_stride, const void* from, std::size_t from_stride,
                      std::size_t row_bytes, std::size_t rows) override {
        step("copy of rows to the host");
        for (std::size_t i = 0; i < rows; ++i)
            std::memcpy(static_cast<char*>(host) + i * host_stride, static_cast<const char*>(from) + i * from_stride,
                        row_bytes);
    }
    void lend_to_this_thread() override {}
    void synchronize() override { step("synchronize"); }
    void wait() noexcept override {}
    bool holds(const void* byte) override { return reinterpret_cast<std::uintptr_t>(byte) > 4096; }
    void launch(const PackKernel<float>& kernel) override { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); }
    void launch(const PackKernel<double>& kernel) override { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); }
    void launch(const NormKernel& kernel) override { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); }
    void launch(const FinishKernel& kernel) override { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); }
    void launch(const RescueKernel& kernel) override { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); }
    void launch(const PairListKernel& kernel) override { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); }
    void launch(const FewRowsArgs& args) override {
        with_few_rows_kernel(args,
                             [this](const auto& kernel) { run_kernel(kernel, kernel.blocks(), kernel.shared_bytes); });
    }
    void launch(const TileArgs& args) override {
        with_tile_kernel(args, [&](const auto& kernel) { run_kernel(kernel, args.blocks(), kernel.shared_bytes); });
    }
    void* stream() const override { return nullptr; }

    template <class Kernel>
    void run_kernel(const Kernel& kernel, std::uint64_t n_blocks, std::size_t shared_bytes) {
        step("launch");
        run(kernel, n_blocks, shared_bytes, backwards);
    }

private:
    void step(const char* what) {
        if (fail_after >= 0 && fail_after-- == 0) {
            fail_after = 0;
            throw Unavailable(std::string("the emulated device failed: ") + what);
        }
    }

    std::size_t left_;
    unsigned processors_;
    std::map<void*, std::size_t> allocated_;
};

}  // namespace emulated
