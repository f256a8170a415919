#ifdef EMULATOR_CHECK

#include "findings.h"

#include <cstdarg>
#include <cstdio>
#include <map>
#include <tuple>
#include <vector>

#include "scheduler.h"

namespace emulator::check {
namespace {

using Key = std::tuple<std::string, uintptr_t, uintptr_t, std::string>;  // kind, pc, other, place

struct Finding {
    Key key;
    uint3 block, thread;  // of the first occurrence
    std::string message;
    unsigned count;
};

std::vector<Finding> findings;  // in the order in which they were found
std::map<Key, size_t> numbers;
constexpr size_t most = 500;

}  // namespace

void report(const char* kind, uintptr_t pc, uintptr_t other, const char* place, const char* format, ...) {
    Key key{kind, pc, other, place};
    auto [found, added] = numbers.emplace(key, findings.size());
    if (!added) {
        if (found->second < findings.size()) findings[found->second].count++;
        return;
    }
    if (findings.size() == most) return;
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    findings.push_back({key, emulator_thread.block, emulator_thread.thread, message, 1});
}

static std::string text_of(const uint3& v) {
    return std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z);
}

std::string all_findings() {
    std::string text;
    for (const Finding& f : findings) {
        auto& [kind, pc, other, place] = f.key;
        for (const std::string& field : {kind, std::to_string(pc), std::to_string(other), place, text_of(f.block),
                                         text_of(f.thread), std::to_string(f.count), f.message})
            text += field + "\t";
        text.back() = '\n';
    }
    return text;
}

void forget_findings() {
    findings.clear();
    numbers.clear();
}

}  // namespace emulator::check

#endif
