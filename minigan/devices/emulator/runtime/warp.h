// Operations of a warp: shuffles, votes, and the barrier among its lanes.
//
// Each lane describes what it wants in an object on its own stack and waits. The last of the lanes
// that the mask names finds the objects of all the others, computes everybody's result and puts it into
// them. So nothing is copied through a buffer that a fast lane could overwrite before a slow one has
// read it.
#pragma once

struct EmulatorWarpOp;
using EmulatorLanes = EmulatorWarpOp* const (&)[32];  // by number; null for a lane that takes no part

struct EmulatorWarpOp {
    void (*complete)(EmulatorLanes lanes);
    bool exchanges = true;  // the lanes need each other's values; they see no more of each other's memory
    bool gathers = false;   // the lanes that come, not those that a mask names
};

extern "C" void emulator_warp_op(EmulatorWarpOp* op, unsigned mask, const char* place);

inline int emulator_lane() { return emulator_thread.linear % 32; }

// ---------------------------------------------------------------- barrier

inline void emulator_syncwarp(const char* place, unsigned mask = 0xffffffffu) {
    EmulatorWarpOp op{[](EmulatorLanes) {}, false};
    emulator_warp_op(&op, mask, place);
}
#define __syncwarp(...) emulator_syncwarp(EMULATOR_HERE __VA_OPT__(, ) __VA_ARGS__)

// ---------------------------------------------------------------- shuffles

template <class T>
struct EmulatorShuffle : EmulatorWarpOp {
    T value;
    int source;

    // Where the source takes no part, a lane keeps its own value: CUDA leaves that undefined.
    EMULATOR_PLAIN static void move(EmulatorLanes lanes) {
        T values[32];
        for (int i = 0; i < 32; i++)
            if (lanes[i]) values[i] = static_cast<EmulatorShuffle*>(lanes[i])->value;
        for (int i = 0; i < 32; i++)
            if (lanes[i]) {
                auto* mine = static_cast<EmulatorShuffle*>(lanes[i]);
                if (lanes[mine->source]) mine->value = values[mine->source];
            }
    }
};

template <class T>
inline T emulator_shuffle(const char* place, unsigned mask, T value, int source) {
    EmulatorShuffle<T> op;
    op.complete = EmulatorShuffle<T>::move;
    op.value = value;
    op.source = source;
    emulator_warp_op(&op, mask, place);
    return op.value;
}

// A warp may be divided into segments of `width` lanes; a source beyond one's own segment is oneself.
template <class T>
inline T emulator_shfl(const char* place, unsigned mask, T value, int source, int width = 32) {
    int first = emulator_lane() & ~(width - 1);
    return emulator_shuffle(place, mask, value, first | (source & (width - 1)));
}
template <class T>
inline T emulator_shfl_up(const char* place, unsigned mask, T value, unsigned delta, int width = 32) {
    int lane = emulator_lane(), first = lane & ~(width - 1), source = lane - static_cast<int>(delta);
    return emulator_shuffle(place, mask, value, source < first ? lane : source);
}
template <class T>
inline T emulator_shfl_down(const char* place, unsigned mask, T value, unsigned delta, int width = 32) {
    int lane = emulator_lane(), first = lane & ~(width - 1), source = lane + static_cast<int>(delta);
    return emulator_shuffle(place, mask, value, source >= first + width ? lane : source);
}
template <class T>
inline T emulator_shfl_xor(const char* place, unsigned mask, T value, int bits, int width = 32) {
    int lane = emulator_lane(), first = lane & ~(width - 1), source = lane ^ bits;
    return emulator_shuffle(place, mask, value, source >= first + width ? lane : source);
}
#define __shfl_sync(...) emulator_shfl(EMULATOR_HERE, __VA_ARGS__)
#define __shfl_up_sync(...) emulator_shfl_up(EMULATOR_HERE, __VA_ARGS__)
#define __shfl_down_sync(...) emulator_shfl_down(EMULATOR_HERE, __VA_ARGS__)
#define __shfl_xor_sync(...) emulator_shfl_xor(EMULATOR_HERE, __VA_ARGS__)

// ---------------------------------------------------------------- votes

struct EmulatorVote : EmulatorWarpOp {
    unsigned ballot;  // 0 or 1 before, everybody's afterwards

    EMULATOR_PLAIN static void count(EmulatorLanes lanes) {
        unsigned ballot = 0;
        for (int i = 0; i < 32; i++)
            if (lanes[i]) ballot |= static_cast<EmulatorVote*>(lanes[i])->ballot << i;
        for (auto* lane : lanes)
            if (lane) static_cast<EmulatorVote*>(lane)->ballot = ballot;
    }
};

inline unsigned emulator_ballot(const char* place, unsigned mask, bool predicate) {
    EmulatorVote op;
    op.complete = EmulatorVote::count;
    op.ballot = predicate;
    emulator_warp_op(&op, mask, place);
    return op.ballot;
}
// The lanes that have come here together: those that can, so that code which asks for them works as if
// the warp had stayed together wherever it may.
inline unsigned emulator_activemask(const char* place) {
    EmulatorVote op;
    op.complete = EmulatorVote::count;
    op.gathers = true;
    op.ballot = 1;
    emulator_warp_op(&op, 0, place);
    return op.ballot;
}
#define __activemask() emulator_activemask(EMULATOR_HERE)
#define __ballot_sync(mask, p) emulator_ballot(EMULATOR_HERE, mask, !!(p))
#define __any_sync(mask, p) (emulator_ballot(EMULATOR_HERE, mask, !!(p)) != 0)
#define __all_sync(mask, p) (emulator_ballot(EMULATOR_HERE, mask, !(p)) == 0)

template <class T>
struct EmulatorMatch : EmulatorWarpOp {
    T value;
    unsigned alike;  // the lanes with the same value

    EMULATOR_PLAIN static void match(EmulatorLanes lanes) {
        for (auto* lane : lanes) {
            auto* mine = static_cast<EmulatorMatch*>(lane);
            if (!mine) continue;
            mine->alike = 0;
            for (int i = 0; i < 32; i++)
                if (lanes[i] && static_cast<EmulatorMatch*>(lanes[i])->value == mine->value) mine->alike |= 1u << i;
        }
    }
};

template <class T>
inline unsigned emulator_match(const char* place, unsigned mask, T value) {
    EmulatorMatch<T> op;
    op.complete = EmulatorMatch<T>::match;
    op.value = value;
    emulator_warp_op(&op, mask, place);
    return op.alike;
}
#define __match_any_sync(mask, v) emulator_match(EMULATOR_HERE, mask, v)

// ---------------------------------------------------------------- reductions

template <class T>
struct EmulatorReduction : EmulatorWarpOp {
    T value;
    T (*combine)(T, T);

    EMULATOR_PLAIN static void reduce(EmulatorLanes lanes) {
        EmulatorReduction* first = nullptr;
        for (auto* lane : lanes) {
            auto* mine = static_cast<EmulatorReduction*>(lane);
            if (!mine) continue;
            if (first) first->value = first->combine(first->value, mine->value);
            else first = mine;
        }
        for (auto* lane : lanes)
            if (lane) static_cast<EmulatorReduction*>(lane)->value = first->value;
    }
};

template <class T>
inline T emulator_reduce(const char* place, unsigned mask, T value, T (*combine)(T, T)) {
    EmulatorReduction<T> op;
    op.complete = EmulatorReduction<T>::reduce;
    op.value = value;
    op.combine = combine;
    emulator_warp_op(&op, mask, place);
    return op.value;
}
#define EMULATOR_REDUCE(mask, v, expression) \
    emulator_reduce<decltype((v) + 0)>(EMULATOR_HERE, mask, v, [](auto a, auto b) { return (expression); })
#define __reduce_add_sync(mask, v) EMULATOR_REDUCE(mask, v, a + b)
#define __reduce_min_sync(mask, v) EMULATOR_REDUCE(mask, v, b < a ? b : a)
#define __reduce_max_sync(mask, v) EMULATOR_REDUCE(mask, v, a < b ? b : a)
#define __reduce_and_sync(mask, v) EMULATOR_REDUCE(mask, v, a & b)
#define __reduce_or_sync(mask, v) EMULATOR_REDUCE(mask, v, a | b)
#define __reduce_xor_sync(mask, v) EMULATOR_REDUCE(mask, v, a ^ b)
