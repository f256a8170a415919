// The threads of the host that run blocks, and the functions through which Python drives them.
//
// The threads are kept from launch to launch with their stacks. A kernel that faults or never ends is
// left by force: a signal makes its thread return to the scheduler, and the launch reports why.
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#include "checker.h"
#include "scheduler.h"

namespace emulator {
namespace {

struct Launch {
    Task task;
    unsigned blocks;   // in the grid
    unsigned sampled;  // of these, how many to run, evenly spread
    std::atomic<unsigned> next{0};
    std::atomic<bool> stopped{false};
};

class Pool {
  public:
    void start(const Task& task, unsigned blocks, unsigned sampled, unsigned threads);
    bool wait(int milliseconds);
    void stop(const char* why);
    const std::string& failure() const { return failure_; }

  private:
    void grow(unsigned threads);
    void work(unsigned number);
    void run_blocks(Block& block);
    void fail(const std::string& why);

    std::mutex mutex_;
    std::condition_variable begins_, ends_;
    std::vector<pthread_t> threads_;
    Launch launch_;
    unsigned long generation_ = 0;  // counts launches
    unsigned invited_ = 0;          // threads that take part in this one
    unsigned busy_ = 0;
    std::string failure_;
    pid_t process_ = 0;
};

// Never destroyed: its threads outlive the end of main().
Pool& pool = *new Pool;

// ---------------------------------------------------------------- leaving a kernel by force

thread_local std::string* fault_text = nullptr;
thread_local char* emergency_stack = nullptr;
constexpr size_t emergency_bytes = 64 << 10;
struct sigaction previous[NSIG];
constexpr int stop_signal = SIGURG;  // ignored by default, so a stray one does no harm

void leave_kernel() { block->abandon(fault_text->c_str()); }

// Make the interrupted thread go on in leave_kernel, on a stack of its own.
void redirect(ucontext_t* context) {
    auto top = reinterpret_cast<uintptr_t>(emergency_stack + emergency_bytes) & ~uintptr_t{15};
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RSP] = top - 8;  // as after a call
    context->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(leave_kernel);
#else
    context->uc_mcontext.sp = top;
    context->uc_mcontext.pc = reinterpret_cast<uintptr_t>(leave_kernel);
#endif
}

void on_signal(int signal, siginfo_t* info, void* context) {
    if (block && block->in_kernel() && !check::busy()) {
        if (signal != stop_signal) {
            char text[160];
            const char* what = signal == SIGFPE   ? "an integer division by zero"
                               : signal == SIGILL ? "a trap"
                                                  : "an access to memory that is not there";
            snprintf(text, sizeof text, "%s, at address %p", what, info->si_addr);
            *fault_text = text;
        }
        redirect(static_cast<ucontext_t*>(context));
        return;
    }
    if (block && block->in_kernel() && signal == stop_signal) return check::leave_soon("stopped");
    // None of this runtime's kernels: whoever was here before shall have it. That may be another runtime, for
    // there is one for each mode.
    const struct sigaction& before = previous[signal];
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(signal, info, context);
    else if (before.sa_handler == SIG_DFL && signal != stop_signal) sigaction(signal, &before, nullptr);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(signal);
}

void install_handlers() {
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, stop_signal})
        sigaction(signal, &action, &previous[signal]);
}

void prepare_thread() {
    fault_text = new std::string;
    auto allocate = [] {
        return static_cast<char*>(mmap(nullptr, emergency_bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    };
    emergency_stack = allocate();
    stack_t alternative = {};
    alternative.ss_sp = allocate();
    alternative.ss_size = emergency_bytes;
    sigaltstack(&alternative, nullptr);
}

// ---------------------------------------------------------------- the pool

void Pool::grow(unsigned threads) {
    if (process_ != getpid()) {  // the first launch, or the first after a fork, which takes no threads along
        process_ = getpid();
        threads_.clear();
        install_handlers();
    }
    while (threads_.size() < threads) {
        unsigned number = threads_.size();
        std::thread thread([this, number] { work(number); });
        threads_.push_back(thread.native_handle());
        thread.detach();
    }
}

void Pool::start(const Task& task, unsigned blocks, unsigned sampled, unsigned threads) {
    std::lock_guard lock(mutex_);
    launch_.task = task;
    launch_.blocks = blocks;
    launch_.sampled = sampled && sampled < blocks ? sampled : blocks;
    launch_.next = 0;
    launch_.stopped = false;
    failure_.clear();
    generation_++;
    invited_ = busy_ = threads;
    grow(threads);
    begins_.notify_all();
}

bool Pool::wait(int milliseconds) {
    std::unique_lock lock(mutex_);
    return ends_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return busy_ == 0; });
}

void Pool::stop(const char* why) {
    fail(why);
    // A kernel notices nothing by itself; ask again until all have left.
    while (!wait(10))
        for (unsigned i = 0; i < invited_; i++) pthread_kill(threads_[i], stop_signal);
}

void Pool::fail(const std::string& why) {
    std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = why;
    launch_.stopped = true;
}

void Pool::work(unsigned number) {
    prepare_thread();
    Block& mine = *new Block;
    unsigned long seen = 0;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            begins_.wait(lock, [&] { return generation_ != seen && number < invited_; });
            seen = generation_;
        }
        run_blocks(mine);
        std::lock_guard lock(mutex_);
        if (--busy_ == 0) ends_.notify_all();
    }
}

void Pool::run_blocks(Block& mine) {
    Task task = launch_.task;  // at an address of its own, by which the block knows a new launch
    mine.forget_task();
    for (;;) {
        unsigned turn = launch_.next++;
        if (turn >= launch_.sampled || launch_.stopped) return;
        unsigned number = launch_.sampled == launch_.blocks
                              ? turn
                              : static_cast<uint64_t>(turn) * (launch_.blocks - 1) / std::max(1u, launch_.sampled - 1);
        if (task.order == Order::reverse) number = launch_.blocks - 1 - number;
        if (!mine.run(task, number)) return fail(mine.failure());
    }
}

}  // namespace
}  // namespace emulator

// ---------------------------------------------------------------- what Python calls

#define PYTHON_API extern "C" __attribute__((visibility("default")))

PYTHON_API void emulator_start(void (*run)(void**), void** args, const unsigned* grid, const unsigned* block,
                               size_t dynamic_bytes, unsigned threads, int order, unsigned seed,
                               unsigned sampled) {
    emulator::Task task{run,           args, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]},
                        dynamic_bytes, static_cast<emulator::Order>(order), seed};
    emulator::pool.start(task, grid[0] * grid[1] * grid[2], sampled, threads);
}

PYTHON_API int emulator_wait(int milliseconds) { return emulator::pool.wait(milliseconds); }
PYTHON_API void emulator_stop(const char* why) { emulator::pool.stop(why); }
PYTHON_API const char* emulator_failure() { return emulator::pool.failure().c_str(); }
