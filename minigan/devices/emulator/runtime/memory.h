// The memory that a kernel may use, and what is remembered of each word of it.
#pragma once

#include <cstdint>
#include <string>
#include <sys/mman.h>

#include "order.h"

namespace emulator::check {

// The last write, and those accesses that race with others but not among themselves: either the reads since
// the last write, or the atomic operations since anything else. Enough of them is remembered to recognise
// any that a later access races with.
struct Cell {
    Access write;
    Access latest;     // of those; in its interval there were, besides:
    Access elsewhere;  // one of another block, before; or else one of another thread of that interval
    uint32_t lanes;    // some by these lanes of the same warp
    bool other_warps;  // some by other warps of the block
    bool copying;      // an asynchronous copy to here was begun, and not waited for
};

enum class Space : int { global, constant, shared };

// A stretch of memory, with a cell for each granule of 4 bytes. From the first access to less than a
// granule on, it has one for each byte, so that threads which write neighbouring bytes are told apart.
class Region {
  public:
    Region(uintptr_t begin_, size_t size, Space space_, std::string name_)
        : begin(begin_), end(begin_ + size), space(space_), name(std::move(name_)) {
        cells_ = allocate();
    }
    Region(Region&& other) noexcept
        : begin(other.begin), end(other.end), space(other.space), name(std::move(other.name)),
          granule_bits_(other.granule_bits_), cells_(other.cells_) {
        other.cells_ = nullptr;
    }
    Region& operator=(Region&&) = delete;
    ~Region() { release(cells_); }

    bool contains(uintptr_t from, uintptr_t to) const { return from >= begin && to <= end; }
    size_t size() const { return end - begin; }

    template <class Function>
    void for_cells(uintptr_t address, unsigned bytes, Function function) {
        if (granule_bits_ && (bytes | address) % 4) split_into_bytes();
        Cell* first = cells_ + ((address - begin) >> granule_bits_);
        Cell* last = cells_ + ((address + bytes - 1 - begin) >> granule_bits_);
        for (Cell* cell = first; cell <= last; cell++) function(*cell);
    }

    const uintptr_t begin, end;
    const Space space;
    const std::string name;

  private:
    size_t count() const { return (size() >> granule_bits_) + 1; }

    // Pages of zeros, which take up memory only once they are touched.
    Cell* allocate() const {
        return static_cast<Cell*>(mmap(nullptr, count() * sizeof(Cell), PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    }
    void release(Cell* cells) const {
        if (cells) munmap(cells, count() * sizeof(Cell));
    }
    void split_into_bytes() {
        Cell* words = cells_;
        size_t old_count = count();
        granule_bits_ = 0;
        cells_ = allocate();
        for (size_t i = 0; i < count(); i++) cells_[i] = words[i / 4];
        munmap(words, old_count * sizeof(Cell));
    }

    unsigned granule_bits_ = 2;
    Cell* cells_;
};

}  // namespace emulator::check
