// One token of one row through the convolution and the state space, for some of its channels: states in place.
#ifndef COBRA_STEP_H
#define COBRA_STEP_H
#include "vector.h"

#define TAPS 4

// Channels d0 to d1. state: (D, 4), the last inputs, newest last. x, y: (D,), which may be the same. w: (D, 4). bias
// may be NULL.
static inline void conv_step(float *state, const float *x, const float *w, const float *bias, float *y, int64_t d0,
                             int64_t d1) {
  for (; d0 < d1; d0 += V) {
    int64_t count = d1 - d0 < V ? d1 - d0 : V;
    vec a = bias ? load(bias + d0, count) : (vec){};
    for (int64_t i = 0; i < count; i++) {
      int64_t d = d0 + i;
      float *s = state + d * TAPS, sum = 0;
      memmove(s, s + 1, (TAPS - 1) * sizeof(float));
      s[TAPS - 1] = x[d];
      for (int k = 0; k < TAPS; k++) sum += s[k] * w[d * TAPS + k];
      a[i] += sum;
    }
    store(y + d0, a * sigmoidv(a), count);
  }
}

// Channels d0 to d1. state, A: (D, N), A as it is or, with `log`, the logarithm of -A. u, dt, z, y: (D,), y may be one
// of them. B, C: (N,). Dv, z and bias may be NULL.
static inline void scan_step(float *state, const float *u, const float *dt, const float *A, int log, const float *B,
                             const float *C, const float *Dv, const float *z, const float *bias, float *y, int64_t N,
                             int64_t d0, int64_t d1) {
  for (; d0 < d1; d0 += V) {
    int64_t count = d1 - d0 < V ? d1 - d0 : V;
    vec uu = load(u + d0, count), acc = Dv ? load(Dv + d0, count) * uu : (vec){};
    vec x = load(dt + d0, count);
    x = softplusv(bias ? x + load(bias + d0, count) : x, NULL);
    vec xu = x * uu, rates = rate_of(x);
    for (int64_t i = 0; i < count; i++) {
      float *h = state + (d0 + i) * N, in = xu[i];
      const float *a = A + (d0 + i) * N;
      vec sum = {}, rate = splat(rates[i]);
      for (int64_t n = 0; n < N; n += V) {
        int64_t left = N - n;
        vec an = load(a + n, left);
        an = finite_rate(log ? -expv(an) : an);
        vec hn = exp2_of_product(rate, an) * load(h + n, left) + in * load(B + n, left);
        store(h + n, hn, left);
        sum = sum + hn * load(C + n, left);
      }
      acc[i] += sum_lanes(sum);
    }
    if (z) {
      vec zz = load(z + d0, count);
      acc = acc * zz * sigmoidv(zz);
    }
    store(y + d0, acc, count);
  }
}
#endif
