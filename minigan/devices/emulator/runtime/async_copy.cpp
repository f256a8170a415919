// cp.async, when checking: copies from global to shared memory that are made when they are waited for, and not before.
//
// On the GPU a copy may arrive at any moment between its beginning and the wait. Made at the last of these
// moments, a kernel that forgets to wait reads old values here every time, rather than now and then.
#ifdef EMULATOR_CHECK
#include <cstring>
#include <vector>

#include "checker.h"

namespace emulator {
namespace {

struct Copy {
    void* to;
    const void* from;  // null: zeros
    unsigned size;
};

// What one lane has begun: closed groups, oldest first, and the group that is open.
struct Queue {
    unsigned long launch_block = 0;  // whose copies these are; those of an earlier block never arrived
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;
};

thread_local std::vector<Queue> queues;

Queue& queue() {
    unsigned lane = block->current().linear;
    if (queues.size() <= lane) queues.resize(1024);
    Queue& q = queues[lane];
    if (q.launch_block != block->runs()) {
        q.launch_block = block->runs();
        q.groups.clear();
        q.open.clear();
    }
    return q;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

#define KERNEL_API extern "C" __attribute__((visibility("default")))
#define WHERE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

// Of `size` bytes, the first `from_size` come from memory and the others are zero.
KERNEL_API void emulator_copy_async(void* to, const void* from, unsigned size, unsigned from_size) {
    if (from_size) check::access(from, from_size, check::Kind::read, WHERE);
    check::copy_begins(to, size, WHERE);
    auto& open = queue().open;
    if (from_size) open.push_back({to, from, from_size});
    if (from_size < size) open.push_back({static_cast<char*>(to) + from_size, nullptr, size - from_size});
}

KERNEL_API void emulator_copy_commit() {
    Queue& q = queue();
    q.groups.push_back(std::move(q.open));
    q.open.clear();
}

// Wait until at most `pending` of the latest groups are under way.
KERNEL_API void emulator_copy_wait(unsigned pending) {
    Queue& q = queue();
    while (q.groups.size() > pending) {
        for (const Copy& copy : q.groups.front()) {
            if (copy.from) memcpy(copy.to, copy.from, copy.size);
            else memset(copy.to, 0, copy.size);
            check::copy_ends(copy.to, copy.size, WHERE);
        }
        q.groups.erase(q.groups.begin());
    }
}
#endif
