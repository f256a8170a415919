#include "fiber.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

// What the ABI asks a function to preserve, pushed on the old stack and popped from the new one.
// System V x86-64: rbx, rbp, r12 to r15. AAPCS64: x19 to x30, d8 to d15.
#if defined(__x86_64__)
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
emulator_switch:
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
#elif defined(__aarch64__)
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
#else
#error "the emulator switches stacks on x86-64 and aarch64 only"
#endif

namespace emulator {

void Stacks::reserve(size_t count) {
    while (all_.size() < count) {
        void* memory = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            std::fputs("minigan emulator: no address space for another stack\n", stderr);
            std::abort();
        }
        mprotect(memory, sysconf(_SC_PAGESIZE), PROT_NONE);  // a stack that overflows faults at once
        auto* stack = new Stack{nullptr, static_cast<char*>(memory)};
        prepare(*stack, all_.size());
        all_.push_back(stack);
        free_.push_back(stack);
        free_.reserve(all_.size());
    }
}

void Stacks::prepare(Stack& stack, size_t number) {
    // Stacks that begin at the same offset in their page would all lie in the same few sets of the
    // first-level cache, so that each switch would miss.
    size_t offset = number * 7 % 56 * 64 + 64;
    auto top = reinterpret_cast<uintptr_t>(stack.memory + stack_bytes - offset) & ~uintptr_t{15};
    auto** frame = reinterpret_cast<void**>(top);
#if defined(__x86_64__)
    *--frame = nullptr;  // where a caller would return to: none
    *--frame = reinterpret_cast<void*>(entry_);
    frame -= 6;  // the registers, whose values do not matter
#else
    frame -= 20;
    frame[11] = reinterpret_cast<void*>(entry_);  // x30, where `ret` goes
#endif
    stack.resume = frame;
}

void Stacks::begin_again() {
    free_.clear();
    for (size_t i = 0; i < all_.size(); i++) {
        prepare(*all_[i], i);
        free_.push_back(all_[i]);
    }
}

bool Stacks::contains(const void* address) const {
    for (const Stack* stack : all_)
        if (address >= stack->memory && address < stack->memory + stack_bytes) return true;
    return false;
}

}  // namespace emulator
