#pragma once

// Leaving one stack for another and coming back, without the kernel, which swapcontext asks twice each time.

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulated {

/// Where a stack was left.
struct Place {
    void* top = nullptr;
};

// What a called function must keep, on the stack that is left and off the one that is entered.
__attribute__((naked, noinline, unused)) static void switch_stacks(void** /*left*/, void* /*entered*/) {
    asm volatile(
        "pushq %rbp\n\t"
        "pushq %rbx\n\t"
        "pushq %r12\n\t"
        "pushq %r13\n\t"
        "pushq %r14\n\t"
        "pushq %r15\n\t"
        "movq %rsp, (%rdi)\n\t"
        "movq %rsi, %rsp\n\t"
        "popq %r15\n\t"
        "popq %r14\n\t"
        "popq %r13\n\t"
        "popq %r12\n\t"
        "popq %rbx\n\t"
        "popq %rbp\n\t"
        "ret");
}

/// `begin` never returns.
inline void prepare(Place& place, char* stack, std::size_t bytes, void (*begin)()) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, bytes);  // the frames that were left there for good
#endif
    auto* top = reinterpret_cast<std::uintptr_t*>((reinterpret_cast<std::uintptr_t>(stack) + bytes) / 16 * 16);
    *--top = 0;  // where a return address would be: a function begins 8 bytes off a multiple of 16
    *--top = reinterpret_cast<std::uintptr_t>(begin);
    for (int kept = 0; kept < 6; ++kept) *--top = 0;
    place.top = top;
}

inline void switch_places(Place& left, Place& entered) { switch_stacks(&left.top, entered.top); }

}  // namespace emulated

#else

#include <ucontext.h>

namespace emulated {

struct Place {
    ucontext_t context{};
};

inline void prepare(Place& place, char* stack, std::size_t bytes, void (*begin)()) {
    getcontext(&place.context);
    place.context.uc_stack.ss_sp = stack;
    place.context.uc_stack.ss_size = bytes;
    place.context.uc_link = nullptr;
    makecontext(&place.context, begin, 0);
}

inline void switch_places(Place& left, Place& entered) { swapcontext(&left.context, &entered.context); }

}  // namespace emulated

#endif
