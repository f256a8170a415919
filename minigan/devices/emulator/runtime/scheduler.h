// One block of threads on one thread of the host: who runs, who waits for what.
//
// Each device thread (a lane) runs until it has to wait: at a barrier, or for the other lanes of its
// warp. Then the next lane that can run goes on. Lanes that never wait run one after another on a
// single stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fiber.h"
#include "thread.h"

struct EmulatorWarpOp;

namespace emulator {

enum class State : uint8_t { fresh, ready, at_barrier, at_warp_op, done };

struct Warp;

// One cache line: a block's lanes are all touched at every barrier.
struct alignas(64) Lane {
    void* resume;
    Stack* stack;
    EmulatorWarpOp* op;
    Warp* warp;
    uint3 index;       // threadIdx
    unsigned linear;   // number in the block
    union {
        unsigned barrier;  // at_barrier: which one it waits for
        unsigned mask;     // at_warp_op: whom it waits for
    };
    State state;
    const char* place;  // "file:line" of what it waits at
};
static_assert(sizeof(Lane) == 64);

struct Warp {
    Lane* lanes[32];   // by lane number; null beyond the end of the block
    unsigned first, count;  // its place in Block::lanes
    unsigned existing;  // bits of the lanes that there are; of these,
    unsigned running;  // those that have not returned
    unsigned arrived;  // bits of those that wait at a warp operation
};

enum class Order : int { forward, reverse, random };

// What to run: fixed for a whole launch.
struct Task {
    void (*run)(void** args);
    void** args;
    dim3 grid, block;
    size_t dynamic_bytes;
    Order order;
    unsigned seed;
};

class Block {
  public:
    Block();

    // Run block number `number` of the grid; false when it was abandoned, with failure() saying why.
    bool run(const Task& task, unsigned number);
    const char* failure() const { return failure_; }
    void forget_task() { task_ = nullptr; }  // the next block is the first of another launch

    // Called by kernels, on the stack of a lane.
    void barrier(const char* place);
    int barrier_count(const char* place, bool predicate);
    void warp_op(EmulatorWarpOp* op, unsigned mask, const char* place);

    // Called by a signal handler's return: leave the kernel for good.
    [[noreturn]] void abandon(const char* why);
    bool in_kernel() const { return in_kernel_; }

    Lane& current() const { return *current_; }
    const std::vector<Lane>& lanes() const { return lanes_; }
    const Stacks& stacks() const { return stacks_; }
    unsigned barriers() const { return barriers_; }
    unsigned number() const { return number_; }
    unsigned long runs() const { return runs_; }
    char* dynamic_shared() const { return dynamic_; }
    size_t dynamic_bytes() const { return task_->dynamic_bytes; }

  private:
    static void lane_main();
    void set_up(const Task& task, unsigned number);
    void arrange(Order order, unsigned seed);
    void run_lanes();
    Lane* next_after(const Lane& lane, bool same_warp_first);
    bool can_run(const Lane& lane) const;
    void give_way(Lane& lane, bool same_warp_first);
    void make_current(Lane& lane);
    void go_to(Lane& lane);
    void release_barrier();
    bool complete_warp_op(Warp& warp, unsigned mask);
    void retire(Lane& lane);
    bool release_gathered();
    bool resolve_deadlock();

    const Task* task_ = nullptr;
    unsigned number_ = 0;
    unsigned long runs_ = 0;  // how many blocks this object has run
    std::vector<Lane> lanes_;
    Lane* end_ = nullptr;  // of the lanes
    std::vector<Warp> warps_;
    Lane* current_ = nullptr;
    unsigned running_ = 0;   // lanes that have not returned
    unsigned waiting_ = 0;   // of these, those at the barrier
    unsigned barriers_ = 0;  // how many have been passed
    int votes_ = 0, counted_ = 0;  // predicates of the barrier that fills up, and of the last one
    Stacks stacks_;
    void* scheduler_ = nullptr;  // where run_lanes goes on
    std::vector<char> dynamic_memory_;
    char* dynamic_ = nullptr;
    volatile bool in_kernel_ = false;
    const char* failure_ = nullptr;
};

// The block that this thread of the host runs.
extern __thread Block* block __attribute__((tls_model("initial-exec")));

}  // namespace emulator
