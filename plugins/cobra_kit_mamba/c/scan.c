// The selective scan of Mamba-1 for CPUs: the forward pass; scan_backward.c has the other.
// Letters: b rows, L tokens, D inner channels, N state numbers per channel (at most MAXN).
// u, dt, z: (b, L, D), B, C: (b, L, N), each with a free stride between tokens and none between rows or channels.
// A, states: (.., D, N). Inside, what belongs to the state is blocked, (D/V, N, V): a vector is V channels of one n, so
// that there are no horizontal sums. starts: (b, L), not 0 where a token begins a segment and sees no state; or NULL.
// The maths is in scan_reference.py; the reasons for the layout and the figures are in SCAN.md, variant g.
#include "scan.h"

#define GROUP (64 / V)  // vectors of a task, 64 channels
#define AHEAD 4         // rows to prefetch: rows may lie pages apart, where the hardware's prefetcher stops

// initial, last: (b, D, N), the state before the first and after the last token, each may be NULL. kept:
// (b, ceil(L / K), ceil(D / V), N, V) for the backward pass, or NULL. Dv, z and bias may be NULL. y: (b, L, D).
void cobra_scan_forward(const float *u, const float *dt, const float *A, const float *B, const float *C,
                        const float *Dv, const float *z, const float *bias, const float *initial,
                        const uint8_t *starts, float *y, float *last, float *kept, int64_t nb, int64_t L, int64_t D,
                        int64_t N, int64_t su, int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int threads) {
  int64_t nd = (D + V - 1) / V, ng = (nd + GROUP - 1) / GROUP, nc = (L + K - 1) / K;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * L * D > MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t g = 0; g < ng; g++) {
      int64_t j0 = g * GROUP, E = nd - j0 < GROUP ? nd - j0 : GROUP;
      vec h[GROUP][MAXN], a[GROUP][MAXN], skip[GROUP], shift[GROUP];
      for (int64_t i = 0; i < E; i++) {
        int64_t d = (j0 + i) * V;
        block_A(a[i], A, d, D, N);
        skip[i] = Dv ? load(Dv + d, D - d) : (vec){};
        shift[i] = bias ? load(bias + d, D - d) : (vec){};
        if (initial)
          block(h[i], initial + b * D * N, d, D, N);
        else
          memset(h[i], 0, N * sizeof(vec));
      }
      for (int64_t t = 0; t < L; t++) {
        int64_t row = b * L + t, ahead = t + AHEAD < L ? row + AHEAD : row;
        const float *bt = B + row * sB, *ct = C + row * sC;
        if (kept && t % K == 0)
          for (int64_t i = 0; i < E; i++)
            memcpy(kept + ((b * nc + t / K) * nd + j0 + i) * N * V, h[i], N * sizeof(vec));
        if (starts && starts[row])
          for (int64_t i = 0; i < E; i++) memset(h[i], 0, N * sizeof(vec));
        vec xs[GROUP], ys[GROUP];  // independent chains side by side hide the latency of softplus and silu
        for (int64_t i = 0; i < E; i++) {
          int64_t d = (j0 + i) * V;
          __builtin_prefetch(u + ahead * su + d);
          __builtin_prefetch(dt + ahead * sdt + d);
          if (z) __builtin_prefetch(z + ahead * sz + d);
          xs[i] = softplusv(load(dt + row * sdt + d, D - d) + shift[i], NULL);
        }
        for (int64_t i = 0; i < E; i++) {
          int64_t d = (j0 + i) * V;
          vec uu = load(u + row * su + d, D - d), xu = xs[i] * uu, rate = rate_of(xs[i]), acc = skip[i] * uu;
          for (int64_t n = 0; n < N; n++) {
            vec hn = exp2_of_product(rate, a[i][n]) * h[i][n] + xu * bt[n];
            h[i][n] = hn;
            acc = acc + hn * ct[n];
          }
          ys[i] = acc;
        }
        for (int64_t i = 0; i < E; i++) {
          int64_t d = (j0 + i) * V;
          if (z) {
            vec zz = load(z + row * sz + d, D - d);
            ys[i] = ys[i] * zz * sigmoidv(zz);
          }
          store(y + row * D + d, ys[i], D - d);
        }
      }
      if (last)
        for (int64_t i = 0; i < E; i++) unblock(last + b * D * N, h[i], (j0 + i) * V, D, N);
    }
}
