// What the checker has found, for Python to fetch.
#pragma once

#include <cstdint>
#include <string>

namespace emulator::check {

// A fault at instruction `pc`, in which another at `other` took part (0: none). Where no instruction
// stands for it, `place` says "file:line". The same fault at the same place is counted, not told again.
void report(const char* kind, uintptr_t pc, uintptr_t other, const char* place, const char* format, ...)
    __attribute__((format(printf, 5, 6)));

// One line for each, fields separated by tabs: kind, pc, other, place, block, thread, count, message.
std::string all_findings();
void forget_findings();

}  // namespace emulator::check
