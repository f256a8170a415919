// Steps of optimisers, each in one sweep over a parameter w, its gradient g and the arrays beside it, in place.
//
//     sgd        w <- w - lr g
//     momentum   v <- m v + g;                w <- w - lr v
//     rmsprop    s <- a s + (1 - a) g^2;      w <- w - lr g / (sqrt(s) + eps)
//     adam       m <- b1 m + (1 - b1) g;      v <- b2 v + (1 - b2) g^2;
//                w <- w - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//
// The learning rate lies in the device's memory: launches that are recorded and replayed follow its changes.
// Of a factor b near 1 the host passes 1 - b too: taken from b as a float, it would have lost its digits.
#include "common.cuh"

extern "C" __global__ void sgd(REAL* w, const REAL* g, const double* lr, int count) {
    REAL rate = REAL(*lr);
    FOR_EACH(i, count) w[i] -= rate * g[i];
}

extern "C" __global__ void momentum(REAL* w, const REAL* g, REAL* velocity, const double* lr, REAL kept,
                                    int count) {
    REAL rate = REAL(*lr);
    FOR_EACH(i, count) {
        REAL v = kept * velocity[i] + g[i];
        velocity[i] = v;
        w[i] -= rate * v;
    }
}

extern "C" __global__ void rmsprop(REAL* w, const REAL* g, REAL* square_average, const double* lr, REAL alpha,
                                   REAL one_minus_alpha, REAL eps, int count) {
    REAL rate = REAL(*lr);
    FOR_EACH(i, count) {
        REAL s = alpha * square_average[i] + one_minus_alpha * g[i] * g[i];
        square_average[i] = s;
        w[i] -= rate * g[i] / (sqrt(s) + eps);
    }
}

// What all elements share in Adam's t-th step.
struct AdamStep {
    double rate;     // lr / (1 - b1^t)
    double scaling;  // 1 / sqrt(1 - b2^t)
};

// One thread counts the step. The count lives on the device, so that a recorded launch counts on when it is
// replayed; and it is another launch, because blocks of `adam` that start late must not see it change.
extern "C" __global__ void adam_count(long long* steps, AdamStep* step, const double* lr, double b1,
                                      double b2) {
    if (threadIdx.x != 0) return;
    double t = double(++*steps);
    step->rate = *lr / (1 - pow(b1, t));
    step->scaling = 1 / sqrt(1 - pow(b2, t));
}

extern "C" __global__ void adam(REAL* w, const REAL* g, REAL* mean, REAL* square, const AdamStep* step, REAL b1,
                                REAL one_minus_b1, REAL b2, REAL one_minus_b2, REAL eps, int count) {
    REAL rate = REAL(step->rate), scaling = REAL(step->scaling);
    FOR_EACH(i, count) {
        REAL m = b1 * mean[i] + one_minus_b1 * g[i];
        REAL v = b2 * square[i] + one_minus_b2 * g[i] * g[i];
        mean[i] = m;
        square[i] = v;
        w[i] -= rate * m / (sqrt(v) * scaling + eps);
    }
}
