#include "scheduler.h"

#include <algorithm>
#include <cstring>

#include "checker.h"

__thread EmulatorThread emulator_thread __attribute__((tls_model("initial-exec")));

// As kernels see it (warp.h).
struct EmulatorWarpOp {
    void (*complete)(EmulatorWarpOp* const (&lanes)[32]);
    bool exchanges, gathers;
};

namespace emulator {

__thread Block* block __attribute__((tls_model("initial-exec"))) = nullptr;

constexpr size_t margin = check::enabled ? 64 << 10 : 4096;  // around dynamic shared memory, where the checker sees strays

Block::Block() : stacks_(lane_main) {}

// ---------------------------------------------------------------- a block from beginning to end

bool Block::run(const Task& task, unsigned number) {
    set_up(task, number);
    check::block_begins(*this);
    run_lanes();
    check::block_ends();
    if (failure_) stacks_.begin_again();
    return failure_ == nullptr;
}

void Block::set_up(const Task& task, unsigned number) {
    const dim3& grid = task.grid;
    unsigned threads = task.block.x * task.block.y * task.block.z;
    if (task_ != &task) {  // the first block of a launch
        task_ = &task;
        lanes_.assign(threads, Lane{});
        end_ = lanes_.data() + threads;
        warps_.assign((threads + 31) / 32, Warp{});
        stacks_.reserve(threads);
        dynamic_memory_.assign(task.dynamic_bytes + 2 * margin, static_cast<char>(0xff));  // NaN
        auto inside = reinterpret_cast<uintptr_t>(dynamic_memory_.data()) + margin - 1;
        dynamic_ = reinterpret_cast<char*>(inside & ~uintptr_t{255});
        arrange(task.order == Order::random ? Order::forward : task.order, 0);
    }
    number_ = number;
    runs_++;
    if (task.order == Order::random) arrange(task.order, task.seed * 2654435761u + number);
    emulator_thread.block = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
    emulator_thread.block_size = task.block;
    emulator_thread.grid_size = grid;
    for (Lane& lane : lanes_) lane.state = State::fresh;
    for (Warp& warp : warps_) {
        warp.running = warp.existing = warp.count == 32 ? ~0u : (1u << warp.count) - 1;
        warp.arrived = 0;
    }
    running_ = threads;
    waiting_ = barriers_ = 0;
    votes_ = counted_ = 0;
    failure_ = nullptr;
    block = this;
}

// Put the lanes into the order in which they take turns; those of one warp stay together.
void Block::arrange(Order order, unsigned seed) {
    unsigned threads = lanes_.size(), warps = warps_.size();
    std::vector<unsigned> turns(warps), lane_turns(32);
    for (unsigned i = 0; i < warps; i++) turns[i] = i;
    unsigned random = seed | 1;
    auto shuffle = [&](std::vector<unsigned>& v, size_t count) {
        if (order == Order::reverse) std::reverse(v.begin(), v.begin() + count);
        if (order != Order::random) return;
        for (size_t i = count; i > 1; i--) {
            random ^= random << 13, random ^= random >> 17, random ^= random << 5;  // Marsaglia 2003
            std::swap(v[i - 1], v[random % i]);
        }
    };
    shuffle(turns, warps);
    unsigned next = 0;
    for (unsigned w : turns) {
        Warp& warp = warps_[w];
        warp.first = next;
        warp.count = std::min(32u, threads - 32 * w);
        std::fill(std::begin(warp.lanes), std::end(warp.lanes), nullptr);
        for (unsigned i = 0; i < warp.count; i++) lane_turns[i] = i;
        shuffle(lane_turns, warp.count);
        for (unsigned i = 0; i < warp.count; i++) {
            unsigned linear = 32 * w + lane_turns[i];
            const dim3& size = task_->block;
            Lane& lane = lanes_[next++];
            lane.linear = linear;
            lane.index = {linear % size.x, linear / size.x % size.y, linear / size.x / size.y};
            lane.warp = &warp;
            warp.lanes[lane_turns[i]] = &lane;
        }
    }
}

inline __attribute__((always_inline)) void Block::make_current(Lane& lane) {
    lane.state = State::ready;
    current_ = &lane;
    emulator_thread.thread = lane.index;
    emulator_thread.linear = lane.linear;
}

void Block::run_lanes() {
    in_kernel_ = true;
    Lane& first = lanes_[0];
    first.stack = stacks_.take();
    first.resume = first.stack->resume;
    make_current(first);
    emulator_switch(&scheduler_, first.resume);  // back when all lanes have returned, or on failure
    in_kernel_ = false;
}

// ---------------------------------------------------------------- taking turns

// The bottom of every stack: run the current lane, then the next one that has not begun, and so on.
void Block::lane_main() {
    for (;;) {
        Block& b = *block;
        b.task_->run(b.task_->args);
        Lane& lane = *b.current_;
        b.retire(lane);
        Stack* stack = lane.stack;
        Lane* next = b.next_after(lane, false);
        if (!next && b.running_ && b.resolve_deadlock()) next = b.next_after(lane, false);
        if (next && next->state == State::fresh) {
            next->stack = stack;
            b.make_current(*next);
            continue;
        }
        b.stacks_.put_back(stack);
        if (next) {
            b.make_current(*next);
            emulator_switch(&stack->resume, next->resume);
        } else {
            emulator_switch(&stack->resume, b.scheduler_);
        }
        // Here again when another lane, which has not begun, was given this stack.
    }
}

inline bool Block::can_run(const Lane& lane) const {
    if (lane.state == State::at_barrier) return lane.barrier != barriers_;
    return lane.state <= State::ready;
}

// The next lane that can run, round and round; null when all of them wait.
Lane* Block::next_after(const Lane& lane, bool same_warp_first) {
    if (same_warp_first) {
        Lane *begin = &lanes_[lane.warp->first], *end = begin + lane.warp->count;
        for (Lane* l = const_cast<Lane*>(&lane) + 1; l != end; l++)
            if (can_run(*l)) return l;
        for (Lane* l = begin; l != &lane; l++)
            if (can_run(*l)) return l;
    }
    Lane *begin = lanes_.data(), *end = begin + lanes_.size();
    for (Lane* l = const_cast<Lane*>(&lane) + 1; l != end; l++)
        if (can_run(*l)) return l;
    for (Lane* l = begin; l <= &lane; l++)
        if (can_run(*l)) return l;
    return nullptr;
}

inline __attribute__((always_inline)) void Block::go_to(Lane& lane) {
    Lane& from = *current_;
    if (lane.state == State::fresh) {
        lane.stack = stacks_.take();
        lane.resume = lane.stack->resume;
    }
    make_current(lane);
    emulator_switch(&from.resume, lane.resume);
}

void Block::give_way(Lane& lane, bool same_warp_first) {
    Lane* next = next_after(lane, same_warp_first);
    if (!next && resolve_deadlock()) next = next_after(lane, same_warp_first);
    if (next == &lane) lane.state = State::ready;
    else go_to(*next);
}

// A lane has returned. Others may have been waiting only for it.
void Block::retire(Lane& lane) {
    lane.state = State::done;
    running_--;
    Warp& warp = *lane.warp;
    warp.running &= ~(1u << lane.linear % 32);
    if (warp.arrived)
        for (Lane* other : warp.lanes)
            if (other && other->state == State::at_warp_op) complete_warp_op(warp, other->mask);
    if (waiting_ && waiting_ == running_) release_barrier();
}

// ---------------------------------------------------------------- waiting

inline __attribute__((always_inline)) void Block::barrier(const char* place) {
    Lane& lane = *current_;
    lane.place = place;
    lane.state = State::at_barrier;
    lane.barrier = barriers_;
    if (++waiting_ == running_) {
        release_barrier();
        if constexpr (!check::enabled) {  // the last to arrive is the first to go on
            lane.state = State::ready;
            return;
        }
        give_way(lanes_.back(), false);  // the checker wants to see the lanes of a warp together
        return;
    }
    Lane* next = &lane + 1;  // where all go the same way, the next lane has not got here yet
    if (next != end_ && can_run(*next)) go_to(*next);
    else give_way(lane, false);
}

int Block::barrier_count(const char* place, bool predicate) {
    votes_ += predicate;
    barrier(place);
    return counted_;
}

void Block::release_barrier() {
    check::barrier_passed(*this, waiting_);
    barriers_++;
    waiting_ = 0;
    counted_ = votes_;
    votes_ = 0;
}

void Block::warp_op(EmulatorWarpOp* op, unsigned mask, const char* place) {
    Lane& lane = *current_;
    unsigned bit = 1u << lane.linear % 32;
    lane.op = op;
    lane.mask = mask;
    lane.place = place;
    lane.state = State::at_warp_op;
    lane.warp->arrived |= bit;
    if (!(mask & bit) && !op->gathers) {
        check::warp_op_stuck(lane, bit);
        if (!check::enabled) abandon("a warp operation's mask leaves out the thread that calls it");
        lane.mask = mask |= bit;
    }
    if (complete_warp_op(*lane.warp, mask)) lane.state = State::ready;
    else give_way(lane, true);
}

// If all lanes that the mask names have arrived with this mask, give each its result and let them go.
bool Block::complete_warp_op(Warp& warp, unsigned mask) {
    unsigned wanted = mask & warp.running;  // lanes that have returned are not waited for
    if (!wanted || (warp.arrived & wanted) != wanted) return false;
    EmulatorWarpOp* ops[32];
    void (*complete)(EmulatorWarpOp* const (&)[32]) = nullptr;
    for (int i = 0; i < 32; i++) {
        ops[i] = nullptr;
        if (!(wanted >> i & 1)) continue;
        const Lane& lane = *warp.lanes[i];
        if (lane.mask != mask || (complete && lane.op->complete != complete)) return false;
        complete = lane.op->complete;
        ops[i] = lane.op;
    }
    const Lane& some = *warp.lanes[__builtin_ctz(wanted)];
    unsigned returned = mask & warp.existing & ~warp.running;
    if (returned && some.op->exchanges) check::warp_op_stuck(some, returned);
    complete(ops);
    for (int i = 0; i < 32; i++)
        if (ops[i]) warp.lanes[i]->state = State::ready;
    warp.arrived &= ~wanted;
    check::warp_met(warp, wanted, !some.op->exchanges);
    return true;
}

// Lanes at __activemask() wait for all others of their warp that may come the same way: let them go.
bool Block::release_gathered() {
    for (Warp& warp : warps_) {
        for (Lane* lane : warp.lanes) {
            if (!lane || lane->state != State::at_warp_op || !lane->op->gathers) continue;
            unsigned together = 0;
            for (int i = 0; i < 32; i++) {
                const Lane* other = warp.lanes[i];
                if (other && other->state == State::at_warp_op && other->op->gathers &&
                    !strcmp(other->place, lane->place))
                    together |= 1u << i;
            }
            for (int i = 0; i < 32; i++)
                if (together >> i & 1) warp.lanes[i]->mask = together;
            return complete_warp_op(warp, together);
        }
    }
    return false;
}

// All lanes wait, and not all at the barrier: some wait for lanes of their warp that will not come.
bool Block::resolve_deadlock() {
    if (release_gathered()) return true;
    for (Warp& warp : warps_) {
        for (Lane* lane : warp.lanes) {
            if (!lane || lane->state != State::at_warp_op) continue;
            unsigned together = 0;
            for (int i = 0; i < 32; i++) {
                const Lane* other = warp.lanes[i];
                if (other && other->state == State::at_warp_op && other->mask == lane->mask &&
                    other->op->complete == lane->op->complete)
                    together |= 1u << i;
            }
            if (!check::enabled)
                abandon("deadlock: a warp operation waits for lanes that are elsewhere or at a barrier");
            check::warp_op_stuck(*lane, lane->mask & warp.running & ~together);
            for (int i = 0; i < 32; i++)  // go on with those that are there
                if (together >> i & 1) warp.lanes[i]->mask = together;
            return complete_warp_op(warp, together);
        }
    }
    abandon("deadlock");
}

void Block::abandon(const char* why) {
    failure_ = why;
    void* never;
    emulator_switch(&never, scheduler_);
    __builtin_unreachable();
}

}  // namespace emulator

// ---------------------------------------------------------------- what kernels call

extern "C" {
#define KERNEL_API __attribute__((visibility("default")))

KERNEL_API void emulator_barrier(const char* place) { emulator::block->barrier(place); }
KERNEL_API int emulator_barrier_count(const char* place, int predicate) {
    return emulator::block->barrier_count(place, predicate);
}
KERNEL_API void emulator_warp_op(EmulatorWarpOp* op, unsigned mask, const char* place) {
    emulator::block->warp_op(op, mask, place);
}
KERNEL_API void* emulator_dynamic_shared() { return emulator::block->dynamic_shared(); }
#ifndef EMULATOR_CHECK
KERNEL_API void emulator_fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#endif
}
