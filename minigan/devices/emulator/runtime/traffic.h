// What a kernel's accesses to memory cost: sectors of global memory, and turns at shared memory.
//
// The n-th execution of an instruction by each lane of a warp is taken as one request of the warp. A
// request to global memory moves sectors of 32 bytes; one to shared memory is served in as many turns
// as the busiest of the 32 banks has different words to give (CUDA C++ Programming Guide, "Shared
// Memory"; requests of 8 and 16 bytes a lane are served by halves and quarters of the warp).
#pragma once

#include <cstdint>
#include <vector>

namespace emulator::check {

struct Cost {
    uint64_t pc;
    uint64_t shared, write, size;    // which memory, which way, bytes per lane
    uint64_t requests, units, ideal;  // units: sectors, or turns
};

class Traffic {
  public:
    void count(unsigned site, uintptr_t pc, unsigned thread, uintptr_t address, unsigned size, bool write,
               bool shared) {
        if (thread / 32 != warp_) {
            flush();
            warp_ = thread / 32;
        }
        if (site >= sites_.size()) sites_.resize(site + 1);
        Site& s = sites_[site];
        if (!s.pending) begin(s, pc, write, shared, site);
        if (size > s.cost.size) s.cost.size = size;
        unsigned lane = thread % 32, n = s.executed[lane]++;
        if (n == s.requests.size()) s.requests.emplace_back();
        Request& r = s.requests[n];
        if (n >= s.used) {
            r.lanes = 0;
            s.used = n + 1;
        }
        r.address[lane] = address;
        r.lanes |= 1u << lane;
    }

    void flush();
    void forget();
    std::vector<Cost> costs() const;

  private:
    struct Request {
        uint32_t lanes;
        uintptr_t address[32];
    };
    struct Site {
        Cost cost{};
        bool pending = false;
        unsigned executed[32] = {};     // by each lane, since the last flush
        std::vector<Request> requests;  // those of one warp, since the last flush
        unsigned used = 0;
    };

    void begin(Site& site, uintptr_t pc, bool write, bool shared, unsigned number);
    static void add_sectors(Site& site, const Request& request);
    static void add_turns(Site& site, const Request& request);

    std::vector<Site> sites_;
    std::vector<unsigned> pending_;
    unsigned warp_ = ~0u;
};

}  // namespace emulator::check
