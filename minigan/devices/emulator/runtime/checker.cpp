// The checker: looks at every access that a kernel makes to memory, and counts what it costs.
//
// For each word the checker remembers who wrote it last, who has read it since, and when (memory.h). Two
// accesses of different threads, one of them a write and not both atomic, with nothing that puts them
// in order (order.h), are a race, whichever of them happened to come first here. That makes it
// independent of the order in which threads take turns (happens-before, Lamport 1978; with epochs in
// place of full vector clocks, as in FastTrack, Flanagan and Freund 2009).
#ifdef EMULATOR_CHECK

#include "checker.h"

#include <cstdio>
#include <cstring>
#include <deque>

#include "findings.h"
#include "memory.h"
#include "traffic.h"

namespace emulator::check {
namespace {

std::deque<Region> regions;     // the arguments and the module's variables
uintptr_t dynamic_shared = 0;   // which region of them is the block's dynamic shared memory
Traffic traffic;
bool inside = false;         // a function of the checker is at work
const char* leaving = nullptr;  // the launch was stopped meanwhile, and this is why
uint64_t steps = 0, most_steps = 0;

// ---------------------------------------------------------------- who is accessing

std::vector<WarpClocks> warps;  // of the current block
struct Fences {
    uint16_t count = 0;
    uint32_t interval = 0;  // of the last one
};
std::vector<Fences> fences;     // executed by each of its threads
bool fenced = false;            // any of them, since the last barrier
uint32_t current_block = 0;     // number + 1

// By the address of the atomic: what those who fenced before they changed it had done.
std::unordered_map<uintptr_t, Knowledge> published;
std::unordered_map<unsigned, Knowledge> learnt;  // by the threads of the block, since its last barrier
Knowledge block_knows;                           // before it

// While one of these exists, the checker is at work. Abandoned halfway, it could leave its tables broken, so
// whoever wants to stop the launch then waits for its end.
struct Inside {
    Inside() { inside = true; }
    ~Inside() {
        inside = false;
        if (leaving) block->abandon(leaving);
    }
};

struct Now {
    Access access;
    size_t lane;
    const uint16_t* known;  // of the other lanes
};

inline bool reads(Kind kind) { return kind != Kind::write && kind != Kind::atomic_write; }
inline bool writes(Kind kind) { return kind != Kind::read && kind != Kind::atomic_read; }

inline Now now_at(size_t site, Kind kind) {
    size_t thread = emulator_thread.linear, lane = thread % 32;
    const WarpClocks& warp = warps[thread / 32];
    Access access(current_block, block->barriers(), thread, warp.clock, fences[thread].count, site,
                  kind >= Kind::atomic);
    return {access, lane, warp.known[lane]};
}

// The instructions that have accessed memory, by number: short, so that a cell can remember them.
class Sites {
  public:
    static constexpr size_t most = 1 << 15;  // what Access::site can hold; any further share the last

    size_t number(uintptr_t pc) {
        Slot& slot = find(pc);
        return slot.pc ? slot.number : add(slot, pc);
    }
    uintptr_t pc(size_t number) const { return pcs_[number]; }
    // Where the instruction's last access went; its next one mostly goes there too.
    Region*& region(size_t number) { return regions_[number]; }
    void forget() { *this = Sites(); }

  private:
    struct Slot {
        uintptr_t pc = 0;
        size_t number = 0;
    };

    // Where pc is in the table, or where it belongs.
    Slot& find(uintptr_t pc) {
        size_t i = pc * 0x9E3779B97F4A7C15u >> 32 & (table_.size() - 1);  // Knuth's multiplicative hashing
        while (table_[i].pc && table_[i].pc != pc) i = (i + 1) & (table_.size() - 1);
        return table_[i];
    }

    size_t add(Slot& slot, uintptr_t pc) {
        size_t number = std::min(pcs_.size(), most - 1);
        slot = {pc, number};
        if (number < pcs_.size()) return number;
        pcs_.push_back(pc);
        regions_.push_back(nullptr);
        if (2 * pcs_.size() > table_.size()) {
            table_.assign(2 * table_.size(), Slot{});
            for (size_t i = 0; i < pcs_.size(); i++) find(pcs_[i]) = {pcs_[i], i};
        }
        return number;
    }

    std::vector<Slot> table_ = std::vector<Slot>(256);  // at most half full
    std::vector<uintptr_t> pcs_;
    std::vector<Region*> regions_;
};
Sites sites;

// ---------------------------------------------------------------- order

bool find_learnt(const Access& a) {
    if (block_knows.covers(a)) return true;
    auto mine = learnt.find(emulator_thread.linear);
    return mine != learnt.end() && mine->second.covers(a);
}

inline bool has_learnt(const Access& a) { return !published.empty() && find_learnt(a); }

inline __attribute__((always_inline)) bool before(const Access& a, const Now& now) {
    if (a.block() == now.access.block()) {
        if (!a.same_interval(now.access) || a.thread() == now.access.thread()) return true;
        if (a.same_warp(now.access) && now.known[a.thread() % 32] >= a.clock()) return true;
    }
    return has_learnt(a);
}

// Whom to name, where several have accessed.
const Access* somebody_else(const Cell& cell, const Now& now) {
    bool own = cell.latest.thread() == now.access.thread();
    return own && cell.elsewhere.same_interval(now.access) ? &cell.elsewhere : &cell.latest;
}

// One of the accesses that the cell remembers beside the last write and that is not before now, or null.
// What fences and atomic operations put in order is told by the latest, which then stands for all.
const Access* unordered(const Cell& cell, const Now& now) {
    const Access& l = cell.latest;
    if (!l) return nullptr;
    if (!l.same_interval(now.access)) {
        if (!before(l, now)) return &l;
    } else if (cell.other_warps) {
        if (!has_learnt(l)) return somebody_else(cell, now);
    } else if (!l.same_warp(now.access)) {
        if (!before(l, now)) return &l;
    } else {
        for (unsigned i = 0; i < 32; i++)
            if (cell.lanes >> i & 1 && i != now.lane && now.known[i] < l.clock() && !has_learnt(l))
                return somebody_else(cell, now);
    }
    const Access& e = cell.elsewhere;
    return e && !before(e, now) ? &e : nullptr;
}

inline __attribute__((always_inline)) void remember(Cell& cell, const Now& now) {
    Access &l = cell.latest, &e = cell.elsewhere;
    // The most frequent case first: one more lane of the same warp, where two are known by name already.
    if (l.same_interval(now.access) && e.same_interval(l) && l.same_warp(now.access) &&
        l.clock() == now.access.clock()) {
        cell.lanes |= 1u << now.lane;
        return;
    }
    if (!l.same_interval(now.access)) {
        if (l && l.block() != now.access.block()) e = l;
        cell.lanes = 1u << now.lane;
        cell.other_warps = false;
    } else {
        if (l.thread() != now.access.thread()) {
            bool named = e.same_interval(l) ? e.thread() != now.access.thread() : e && e.block() != l.block();
            if (!named) e = l;
        }
        if (!l.same_warp(now.access)) {
            cell.other_warps = true;
        } else {
            if (l.clock() != now.access.clock())  // those whom this lane has seen need no remembering
                for (unsigned i = 0; i < 32; i++)
                    if (now.known[i] >= l.clock()) cell.lanes &= ~(1u << i);
            cell.lanes |= 1u << now.lane;
        }
    }
    l = now.access;
}

// ---------------------------------------------------------------- one cell

void report_race(const Region& region, const Now& now, const char* then, const Access& other, const char* first) {
    char who[80];
    if (other.block() == now.access.block()) snprintf(who, sizeof who, "thread %u of its block", other.thread());
    else snprintf(who, sizeof who, "thread %u of block %u", other.thread(), other.block() - 1);
    report(region.space == Space::shared ? "shared-race" : "global-race", sites.pc(now.access.site()),
           sites.pc(other.site()), "", "%s of %s and %s by %s, with nothing between that puts them in order", then,
           region.name.c_str(), first, who);
}

// Whether an access of this kind may race with those that the cell remembers beside the last write: reads do
// not race with reads, nor atomic operations with each other. A plain write after one's own atomic operation
// follows all that this has seen, as when the last block of all sets a counter back.
inline __attribute__((always_inline)) bool may_race(const Cell& cell, const Now& now, Kind kind) {
    const Access &w = cell.write, &me = now.access;
    bool atomics = w.atomic() && cell.latest.atomic();
    if (kind == Kind::read) return atomics;
    if (kind == Kind::write) return !atomics || w.block() != me.block() || w.thread() != me.thread();
    return kind != Kind::atomic_read && !cell.latest.atomic();
}

inline __attribute__((always_inline)) void check_cell(const Region& region, Cell& cell, const Now& now, Kind kind) {
    static const char* const names[] = {"read", "write", "atomic write", "atomic read", "atomic write"};
    bool shared = region.space == Space::shared, atomic = now.access.atomic();
    const Access& w = cell.write;
    if (shared) {  // each block has its own: what earlier ones did there is gone
        if (cell.write.block() != now.access.block()) cell.write = Access{}, cell.copying = false;
        if (cell.latest.block() != now.access.block()) cell.latest = cell.elsewhere = Access{};
    }
    if (cell.copying)
        report("async-copy", sites.pc(now.access.site()), sites.pc(w.site()), "",
               "%s of %s while an asynchronous copy to it may still be under way", names[int(kind)],
               region.name.c_str());
    else if (w && !(w.atomic() && atomic) && !before(w, now))
        report_race(region, now, names[int(kind)], w, w.atomic() ? "atomic write" : "write");
    if (shared && reads(kind) && !w)
        report("uninitialised", sites.pc(now.access.site()), 0, "",
               "%s of %s, which no thread of the block has written", names[int(kind)], region.name.c_str());
    if (may_race(cell, now, kind))
        if (const Access* a = unordered(cell, now))
            report_race(region, now, names[int(kind)], *a, a->atomic() ? "atomic write" : "read");
    if (kind == Kind::write) {
        cell.latest = cell.elsewhere = Access{};
    } else if (kind != Kind::atomic_read || !cell.latest || cell.latest.atomic()) {
        if (atomic != cell.latest.atomic()) cell.latest = cell.elsewhere = Access{};
        remember(cell, now);
    }
    if (writes(kind)) cell.write = now.access;
}

// ---------------------------------------------------------------- one access

// So far around each array there is nothing else (PADDING in check.py, REDZONE in build.py).
constexpr size_t harmless = 16 << 10;

Region* region_of(uintptr_t address, unsigned size) {
    for (Region& region : regions)
        if (region.contains(address, address + size)) return &region;
    return nullptr;
}

// Report an access outside everything. False when it is so far outside that it must not be carried out.
bool report_stray(uintptr_t address, unsigned size, Kind kind, uintptr_t pc) {
    const Region* nearest = nullptr;
    size_t distance = 1 << 20;  // further away, no array is meant
    for (const Region& region : regions) {
        size_t d = address < region.begin ? region.begin - address : address + size - region.end;
        if (d < distance) distance = d, nearest = &region;
    }
    const char* what = writes(kind) ? "write" : "read";
    if (nearest)
        report("out-of-bounds", pc, 0, "", "%s of %u bytes, %zu bytes %s of %s, which has %zu bytes", what, size,
               distance, address < nearest->begin ? "before the beginning" : "past the end", nearest->name.c_str(),
               nearest->size());
    else
        report("out-of-bounds", pc, 0, "", "%s of %u bytes, far from all memory that the kernel was given", what,
               size);
    return nearest && distance < harmless;
}

// The lanes' stacks and the runtime's own variables are no business of the checker's.
bool is_private(uintptr_t address) {
    auto stack = reinterpret_cast<uintptr_t>(block->current().stack->memory);
    if (address - stack < stack_bytes) return true;
    return address - reinterpret_cast<uintptr_t>(&emulator_thread) < sizeof emulator_thread;
}

// An atomic operation makes known what its thread did before a fence, and learns what others made known there.
void exchange_knowledge(uintptr_t address, const Now& now, Kind kind) {
    unsigned thread = now.access.thread();
    auto there = published.find(address);
    if (there != published.end()) learnt[thread].join(there->second);
    const Fences& mine = fences[thread];
    if (!mine.count || !writes(kind)) return;
    Knowledge& here = published[address];
    here.add_fences(current_block, thread, mine.count);
    here.add_interval(current_block, mine.interval);  // its fence holds for what the block's barriers showed it
    here.join(block_knows);
    here.join(learnt[thread]);
    learnt[thread].join(here);
}

void check_region(Region& region, uintptr_t address, unsigned size, Kind kind, uintptr_t pc, size_t site) {
    if (address & (size - 1))  // sizes are powers of two
        report("misaligned", pc, 0, "", "%u bytes of %s at an address that is no multiple of %u", size,
               region.name.c_str(), size);
    if (writes(kind) && region.space == Space::constant)
        report("const-write", pc, 0, "", "write to %s, which is const", region.name.c_str());
    Now now = now_at(site, kind);
    if (kind >= Kind::atomic) exchange_knowledge(address, now, kind);
    else
        traffic.count(site, pc, now.access.thread(), address, size, kind == Kind::write,
                      region.space == Space::shared);
    region.for_cells(address, size, [&](Cell& cell) { check_cell(region, cell, now, kind); });
}

}  // namespace

void access(const void* pointer, unsigned size, Kind kind, uintptr_t pc) {
    auto address = reinterpret_cast<uintptr_t>(pointer);
    if (!block || !block->in_kernel() || is_private(address)) return;
    Inside checker;
    if (most_steps && ++steps > most_steps) leaving = "stopped: it has made more accesses to memory than it may";
    size_t site = sites.number(pc);
    Region*& region = sites.region(site);
    if (!region || !region->contains(address, address + size)) region = region_of(address, size);
    if (region) check_region(*region, address, size, kind, pc, site);
    else if (!block->stacks().contains(pointer) && !report_stray(address, size, kind, pc))
        leaving = "stopped before an access to memory that is not there, or not the kernel's";
}

void fence() {
    Fences& mine = fences[emulator_thread.linear];
    mine.count++;
    mine.interval = block->barriers();
    fenced = true;
}

void copy_begins(void* to, unsigned size, uintptr_t pc) {
    access(to, size, Kind::write, pc);
    auto address = reinterpret_cast<uintptr_t>(to);
    if (Region* region = region_of(address, size))
        region->for_cells(address, size, [](Cell& cell) { cell.copying = true; });
}

void copy_ends(void* to, unsigned size, uintptr_t pc) {
    auto address = reinterpret_cast<uintptr_t>(to);
    Region* region = region_of(address, size);
    if (!region) return;
    Now now = now_at(sites.number(pc), Kind::write);
    region->for_cells(address, size, [&](Cell& cell) {
        cell.copying = false;
        cell.write = now.access;
    });
}

// ---------------------------------------------------------------- what the scheduler tells

void block_begins(const Block& b) {
    leaving = nullptr;
    if (!dynamic_shared && b.dynamic_bytes()) {
        dynamic_shared = reinterpret_cast<uintptr_t>(b.dynamic_shared());
        regions.emplace_back(dynamic_shared, b.dynamic_bytes(), Space::shared, "the dynamic shared memory");
    }
    current_block = b.number() + 1;
    warps.resize((b.lanes().size() + 31) / 32);
    for (WarpClocks& warp : warps) warp.reset();
    fences.assign(b.lanes().size(), Fences{});
    fenced = false;
    learnt.clear();
    block_knows = Knowledge();
}

void block_ends() { traffic.flush(); }

void barrier_passed(const Block& b, unsigned waiting) {
    Inside checker;
    traffic.flush();
    for (auto& [thread, knowledge] : learnt) block_knows.join(knowledge);
    learnt.clear();
    if (fenced)
        for (size_t i = 0; i < fences.size(); i++) block_knows.add_fences(current_block, i, fences[i].count);
    fenced = false;
    for (WarpClocks& warp : warps)
        if (warp.clock > UINT16_MAX / 2) warp.reset();  // the barrier's order comes before the warp's
    const char* place = nullptr;
    for (const Lane& lane : b.lanes()) {
        if (lane.state != State::at_barrier || lane.barrier != b.barriers()) continue;
        if (!place) place = lane.place;
        else if (strcmp(place, lane.place))
            return report("barrier-divergence", 0, 0, place,
                          "some threads of the block wait at this barrier and others at %s", lane.place);
    }
    unsigned total = b.lanes().size();
    if (place && waiting < total)
        report("barrier-divergence", 0, 0, place, "%u threads of the block wait at this barrier, and %u have returned",
               waiting, total - waiting);
}

void warp_met(const Warp& warp, unsigned mask, bool orders) {
    Inside checker;
    const Lane& first = *warp.lanes[__builtin_ctz(mask)];
    if (orders) warps[first.linear / 32].synchronise(mask);
    Knowledge together;
    for (unsigned i = 0; i < 32; i++) {
        if (!(mask >> i & 1)) continue;
        const Lane& lane = *warp.lanes[i];
        if (strcmp(first.place, lane.place))
            report("warp-divergence", 0, 0, first.place,
                   "some lanes of the warp are at this operation and others at %s", lane.place);
        auto found = learnt.find(lane.linear);
        if (found != learnt.end()) together.join(found->second);
    }
    if (!orders || together.empty()) return;
    for (unsigned i = 0; i < 32; i++)
        if (mask >> i & 1) learnt[warp.lanes[i]->linear] = together;
}

void warp_op_stuck(const Lane& lane, unsigned missing) {
    if (missing >> lane.linear % 32 & 1)
        report("warp-divergence", 0, 0, lane.place, "the mask %08x leaves out the lane that calls the operation",
               lane.mask);
    else
        report("warp-divergence", 0, 0, lane.place,
               "the mask %08x names lanes that wait elsewhere or have returned: %08x", lane.mask, missing);
}

bool busy() { return inside; }
void leave_soon(const char* why) { leaving = why; }

}  // namespace emulator::check

// ---------------------------------------------------------------- what Python calls

#define PYTHON_API extern "C" __attribute__((visibility("default")))

using namespace emulator::check;

PYTHON_API void emulator_check_begin(uint64_t allowed_steps) {
    regions.clear();
    dynamic_shared = 0;
    published.clear();
    traffic.forget();
    sites.forget();
    forget_findings();
    steps = 0;
    most_steps = allowed_steps;
}

PYTHON_API void emulator_check_region(uintptr_t begin, size_t size, int space, const char* name) {
    regions.emplace_back(begin, size, static_cast<Space>(space), name);
}

// Texts and tables stay valid until the next call.
PYTHON_API const char* emulator_check_findings() {
    static std::string text;
    text = all_findings();
    return text.c_str();
}

PYTHON_API size_t emulator_check_costs(const Cost** costs) {
    static std::vector<Cost> all;
    all = traffic.costs();
    *costs = all.data();
    return all.size();
}

#endif
