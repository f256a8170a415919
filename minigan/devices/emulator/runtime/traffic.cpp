#ifdef EMULATOR_CHECK

#include "traffic.h"

#include <algorithm>
#include <cstring>

namespace emulator::check {

constexpr unsigned sector_bytes = 32, banks = 32, word_bytes = 4;

void Traffic::begin(Site& site, uintptr_t pc, bool write, bool shared, unsigned number) {
    site.pending = true;
    site.cost.pc = pc;
    site.cost.write = write;
    site.cost.shared = shared;
    pending_.push_back(number);
}

// Turn the requests that the lanes of one warp have made into costs.
void Traffic::flush() {
    for (unsigned number : pending_) {
        Site& site = sites_[number];
        for (unsigned i = 0; i < site.used; i++) {
            if (site.cost.shared) add_turns(site, site.requests[i]);
            else add_sectors(site, site.requests[i]);
        }
        site.cost.requests += site.used;
        site.used = 0;
        site.pending = false;
        memset(site.executed, 0, sizeof site.executed);
    }
    pending_.clear();
}

void Traffic::forget() {
    sites_.clear();
    pending_.clear();
    warp_ = ~0u;
}

std::vector<Cost> Traffic::costs() const {
    std::vector<Cost> all;
    for (const Site& site : sites_)
        if (site.cost.requests) all.push_back(site.cost);
    return all;
}

// How many different values there are; sorts them, which most requests are already.
static unsigned distinct(uintptr_t* values, unsigned count) {
    if (!std::is_sorted(values, values + count)) std::sort(values, values + count);
    return std::unique(values, values + count) - values;
}

void Traffic::add_sectors(Site& site, const Request& request) {
    unsigned size = site.cost.size, count = 0, sectors = 0;
    uintptr_t address[32], sector[64];
    for (unsigned i = 0; i < 32; i++) {
        if (!(request.lanes >> i & 1)) continue;
        uintptr_t first = request.address[i] / sector_bytes;
        uintptr_t last = (request.address[i] + size - 1) / sector_bytes;
        address[count++] = request.address[i];
        sector[sectors++] = first;
        if (last != first) sector[sectors++] = last;
    }
    site.cost.units += distinct(sector, sectors);
    unsigned bytes = distinct(address, count) * size;
    site.cost.ideal += (bytes + sector_bytes - 1) / sector_bytes;
}

void Traffic::add_turns(Site& site, const Request& request) {
    unsigned size = site.cost.size;
    unsigned together = size >= 16 ? 8 : size == 8 ? 16 : 32;  // lanes that are served at once
    for (unsigned from = 0; from < 32; from += together) {
        uintptr_t words[128];
        unsigned count = 0;
        for (unsigned i = from; i < from + together; i++) {
            if (!(request.lanes >> i & 1)) continue;
            uintptr_t first = request.address[i] / word_bytes;
            uintptr_t last = (request.address[i] + size - 1) / word_bytes;
            for (uintptr_t word = first; word <= last; word++) words[count++] = word;
        }
        if (!count) continue;
        count = distinct(words, count);
        unsigned load[banks] = {};
        for (unsigned i = 0; i < count; i++) load[words[i] % banks]++;
        site.cost.units += *std::max_element(load, load + banks);
        site.cost.ideal++;
    }
}

}  // namespace emulator::check

#endif
