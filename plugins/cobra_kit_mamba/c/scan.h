// What the scan's two directions share: how states lie in memory.
#ifndef COBRA_SCAN_H
#define COBRA_SCAN_H
#include "kernels.h"
#include "vector.h"

#define K 16  // tokens between two kept states: they take N/K times the memory of u
#define MAXN 64

// (D, N) -> (N, V) of the vector whose first channel is d; missing channels are 0.
static inline void block(vec *to, const float *from, int64_t d, int64_t D, int64_t N) {
  for (int64_t n = 0; n < N; n++) {
    vec x = {};
    for (int64_t i = 0; i < V && d + i < D; i++) x[i] = from[(d + i) * N + n];
    to[n] = x;
  }
}

// The same for A.
static inline void block_A(vec *to, const float *A, int64_t d, int64_t D, int64_t N) {
  block(to, A, d, D, N);
  for (int64_t n = 0; n < N; n++) to[n] = finite_rate(to[n]);
}

static inline void unblock(float *to, const vec *from, int64_t d, int64_t D, int64_t N) {
  for (int64_t i = 0; i < V && d + i < D; i++)
    for (int64_t n = 0; n < N; n++) to[(d + i) * N + n] = from[n][i];
}
#endif
