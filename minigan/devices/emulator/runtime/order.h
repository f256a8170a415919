// Which of two accesses to memory comes first: the happens-before relation of a CUDA kernel.
//
// Four things put accesses of different threads in order: a barrier (for the block), __syncwarp (for the
// lanes that its mask names), a fence followed by an atomic operation that another thread's atomic
// operation sees, and any chain of these. Shuffles and votes do not: they "do not imply a memory barrier"
// (CUDA C++ Programming Guide, "Warp Vote Functions", "Warp Shuffle Functions").
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <unordered_map>

namespace emulator::check {

// Who accessed, and when. Two words that are put together in registers: written field by field and read
// as a whole, each copy would wait until the processor's store buffer is empty.
class Access {
  public:
    Access() = default;
    Access(uint64_t block, uint64_t interval, uint64_t thread, uint64_t clock, uint64_t fences, uint64_t site,
           uint64_t atomic)
        : when_(interval << 32 | block),
          who_(atomic << 63 | site << 48 | fences << 32 | clock << 16 | thread) {}

    uint32_t block() const { return when_; }           // its number + 1
    uint32_t interval() const { return when_ >> 32; }  // how many barriers the block had passed
    uint16_t thread() const { return who_; }           // number in the block
    uint16_t clock() const { return who_ >> 16; }      // of the warp: goes up with each synchronisation in it
    uint16_t fences() const { return who_ >> 32; }     // how many fences the thread had executed
    uint16_t site() const { return who_ >> 48 & 0x7fff; }  // number of the instruction
    bool atomic() const { return who_ >> 63; }

    explicit operator bool() const { return when_; }  // false: no access at all
    bool same_interval(const Access& other) const { return when_ == other.when_; }
    bool same_warp(const Access& other) const { return thread() / 32 == other.thread() / 32; }
    Access with_clock(uint16_t clock) const {
        Access a = *this;
        a.who_ = (who_ & ~(uint64_t{0xffff} << 16)) | uint64_t{clock} << 16;
        return a;
    }

  private:
    uint64_t when_ = 0, who_ = 0;
};
static_assert(sizeof(Access) == 16);

// The order that its synchronisations give to the lanes of one warp: a vector clock for each lane. All
// lanes read the same clock, so that of several accesses the latest can stand for all.
struct WarpClocks {
    uint16_t known[32][32];   // known[a][b]: the clock up to which lane a has seen lane b
    uint16_t clock;           // at its end it stays there: then faults are missed, and none invented

    void reset() {
        memset(known, 0, sizeof known);
        clock = 1;
    }

    void synchronise(unsigned mask) {
        uint16_t joined[32] = {};
        for (unsigned i = 0; i < 32; i++) {
            if (!(mask >> i & 1)) continue;
            known[i][i] = clock;
            for (unsigned j = 0; j < 32; j++) joined[j] = std::max(joined[j], known[i][j]);
        }
        for (unsigned i = 0; i < 32; i++)
            if (mask >> i & 1) memcpy(known[i], joined, sizeof joined);
        if (clock < UINT16_MAX) clock++;
    }
};

// What a thread has learnt of others through fences and atomic operations.
class Knowledge {
  public:
    bool empty() const { return intervals_.empty() && fences_.empty(); }

    // All that a block did before it passed so many barriers, and all that a thread did before so many fences.
    void add_interval(uint32_t block, uint32_t barriers) { raise(intervals_[block], barriers); }
    void add_fences(uint32_t block, unsigned thread, uint32_t fences) {
        raise(fences_[thread_key(block, thread)], fences);
    }
    void join(const Knowledge& other) {
        for (auto& [block, interval] : other.intervals_) raise(intervals_[block], interval);
        for (auto& [thread, fence] : other.fences_) raise(fences_[thread], fence);
    }
    bool covers(const Access& a) const {
        auto block = intervals_.find(a.block());
        if (block != intervals_.end() && a.interval() < block->second) return true;
        auto thread = fences_.find(thread_key(a.block(), a.thread()));
        return thread != fences_.end() && a.fences() < thread->second;
    }

  private:
    static uint64_t thread_key(uint32_t block, unsigned thread) { return uint64_t{block} << 16 | thread; }
    static void raise(uint32_t& value, uint32_t to) { value = std::max(value, to); }

    std::unordered_map<uint32_t, uint32_t> intervals_;
    std::unordered_map<uint64_t, uint32_t> fences_;
};

}  // namespace emulator::check
