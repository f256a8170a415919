// Stacks that one thread of the host runs by turns, one for each device thread that waits.
#pragma once

#include <cstddef>
#include <vector>

namespace emulator {

// Of address space; memory is taken as it is touched. An odd number of pages: stacks at a distance of a
// power of two would share a few entries of the processor's table of pages, and each switch would miss.
constexpr size_t stack_bytes = 65 * 4096;

// Save the registers that a call preserves, store the stack pointer in *from, go on where `to` was left.
extern "C" void emulator_switch(void** from, void* to);

struct Stack {
    void* resume;  // what emulator_switch goes on with
    char* memory;
};

// The stacks of one thread of the host. They are never given back: the next launch needs them again.
class Stacks {
  public:
    explicit Stacks(void (*entry)()) : entry_(entry) {}

    // Have `count` stacks ready, so that none needs to be made while a kernel runs.
    void reserve(size_t count);

    Stack* take() {
        Stack* stack = free_.back();
        free_.pop_back();
        return stack;
    }
    void put_back(Stack* stack) { free_.push_back(stack); }

    // After kernels were abandoned midway: every stack begins at its entry again, and is free.
    void begin_again();

    bool contains(const void* address) const;

  private:
    void prepare(Stack& stack, size_t number);

    void (*entry_)();
    std::vector<Stack*> all_, free_;
};

}  // namespace emulator
