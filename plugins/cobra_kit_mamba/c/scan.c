// The selective scan of Mamba-1, forward and backward, for CPUs.
// Letters: b rows, L tokens, D inner channels, N state numbers per channel (at most MAXN).
// u, dt, z: (b, L, D), B, C: (b, L, N), each with a free stride between tokens and none between rows or channels.
// A, states: (.., D, N). Inside, what belongs to the state is blocked, (D/V, N, V): a vector is V channels of one n, so
// that there are no horizontal sums. starts: (b, L), not 0 where a token begins a segment and sees no state; or NULL.
// The maths is in scan_reference.py; the reasons for the layout and the figures are in SCAN.md, variant g.
#include "kernels.h"
#include "vector.h"
#include <stdlib.h>

#define K 16       // tokens between two kept states: they take N/K times the memory of u
#define MAXN 64
#define GROUP (64 / V)  // forward: vectors of a task, 64 channels
#define PASS (32 / V)   // backward: vectors of a pass, 128 bytes of a row, whole cache lines in and out
#define AHEAD 4         // rows to prefetch: rows may lie pages apart, where the hardware's prefetcher stops

// (D, N) -> (N, V) of the vector whose first channel is d; missing channels are 0.
static void block(vec *to, const float *from, int64_t d, int64_t D, int64_t N, float factor) {
  for (int64_t n = 0; n < N; n++) {
    vec x = {};
    for (int64_t i = 0; i < V && d + i < D; i++) x[i] = from[(d + i) * N + n] * factor;
    to[n] = x;
  }
}

static void unblock(float *to, const vec *from, int64_t d, int64_t D, int64_t N) {
  for (int64_t i = 0; i < V && d + i < D; i++)
    for (int64_t n = 0; n < N; n++) to[(d + i) * N + n] = from[n][i];
}

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
      vec h[GROUP][MAXN], a2[GROUP][MAXN], skip[GROUP], shift[GROUP];
      for (int64_t i = 0; i < E; i++) {
        int64_t d = (j0 + i) * V;
        block(a2[i], A, d, D, N, LOG2E);
        skip[i] = Dv ? load(Dv + d, D - d) : (vec){};
        shift[i] = bias ? load(bias + d, D - d) : (vec){};
        if (initial)
          block(h[i], initial + b * D * N, d, D, N, 1.f);
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
          vec uu = load(u + row * su + d, D - d), x = xs[i], xu = x * uu, acc = skip[i] * uu;
          for (int64_t n = 0; n < N; n++) {
            vec hn = exp2_of_product(x, a2[i][n]) * h[i][n] + xu * bt[n];
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

// gy, du, ddt: (b, L, D) dense; dz: sdz between tokens. dlast: the last state's gradient or NULL. dinitial, dA: (b, D, N),
// the former may be NULL. dD and dbias: (b, D). dB, dC: (b, S, L, ..) with sdB between tokens, for S splits of the
// channels. Everything is written, nothing added. Returns 0, or 1 where there was no memory.
int cobra_scan_backward(const float *u, const float *dt, const float *A, const float *B, const float *C,
                        const float *Dv, const float *z, const float *bias, const uint8_t *starts, const float *kept,
                        const float *gy, const float *dlast, float *du, float *ddt, float *dA, float *dB, float *dC,
                        float *dD, float *dz, float *dbias, float *dinitial, int64_t nb, int64_t L, int64_t D,
                        int64_t N, int64_t su, int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int64_t sdB,
                        int64_t sdz, int64_t S, int threads) {
  int64_t nd = (D + V - 1) / V, nc = (L + K - 1) / K, per = (nd + S - 1) / S;
  int failed = 0;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) reduction(| : failed)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t s = 0; s < S; s++) {
      int64_t j0 = s * per < nd ? s * per : nd, j1 = j0 + per < nd ? j0 + per : nd, own = j1 - j0;
      size_t kn = (size_t)K * N;
      vec *memory = aligned_alloc(64, ((4 * kn + 2 * N + own * (3 * N + 2)) * sizeof(vec) + 63) / 64 * 64);
      if (!memory) {
        failed |= 1;
        continue;
      }
      vec *accB = memory, *accC = accB + kn, *decays = accC + kn, *states = decays + kn, *zeros = states + kn + N;
      vec *a2s = zeros + N, *dAs = a2s + own * N, *carries = dAs + own * N, *dDs = carries + own * N;
      vec *dbiases = dDs + own;
      memset(zeros, 0, N * sizeof(vec));
      memset(dAs, 0, own * N * sizeof(vec));
      memset(dDs, 0, 2 * own * sizeof(vec));
      for (int64_t i = 0; i < own; i++) {
        block(a2s + i * N, A, (j0 + i) * V, D, N, LOG2E);
        if (dlast)
          block(carries + i * N, dlast + b * D * N, (j0 + i) * V, D, N, 1.f);
        else
          memset(carries + i * N, 0, N * sizeof(vec));
      }
      for (int64_t c = nc - 1; c >= 0; c--) {
        int64_t t0 = c * K, T = L - t0 < K ? L - t0 : K;
        memset(accB, 0, 2 * kn * sizeof(vec));
        for (int64_t e0 = j0; e0 < j1; e0 += PASS) {
          int64_t E = j1 - e0 < PASS ? j1 - e0 : PASS;
          vec xs[PASS][K], us[PASS][K], slope[PASS][K], gs[PASS][K], zs[PASS][K], gate[PASS][K];
          for (int64_t k = 0; k < T; k++)
            for (int64_t i = 0; i < E; i++) {
              int64_t row = b * L + t0 + k, d = (e0 + i) * V;
              us[i][k] = load(u + row * su + d, D - d);
              xs[i][k] = load(dt + row * sdt + d, D - d);
              gs[i][k] = load(gy + row * D + d, D - d);
              if (z) zs[i][k] = load(z + row * sz + d, D - d);
            }
          for (int64_t i = 0; i < E; i++) {
            int64_t d = (e0 + i) * V;
            vec shift = bias ? load(bias + d, D - d) : (vec){};
            for (int64_t k = 0; k < T; k++) {
              xs[i][k] = softplusv(xs[i][k] + shift, &slope[i][k]);
              if (z) gate[i][k] = sigmoidv(zs[i][k]);
            }
          }
          for (int64_t i = 0; i < E; i++) {
            int64_t j = e0 + i, d = j * V;
            const vec *a2 = a2s + (j - j0) * N;
            vec *dAj = dAs + (j - j0) * N, *carry = carries + (j - j0) * N;
            vec ys[K], Dd = Dv ? load(Dv + d, D - d) : (vec){}, sumD = {}, sumbias = {};
            memcpy(states, kept + ((b * nc + c) * nd + j) * N * V, N * sizeof(vec));
            for (int64_t k = 0; k < T; k++) {  // the chunk's states and decays once more
              int64_t row = b * L + t0 + k;
              const float *bt = B + row * sB, *ct = C + row * sC;
              vec x = xs[i][k], xu = x * us[i][k], acc = Dd * us[i][k];
              const vec *before = starts && starts[row] ? zeros : states + k * N;
              vec *after = states + (k + 1) * N, *a = decays + k * N;
              for (int64_t n = 0; n < N; n++) {
                a[n] = exp2_of_product(x, a2[n]);
                after[n] = a[n] * before[n] + xu * bt[n];
                acc = acc + after[n] * ct[n];
              }
              ys[k] = acc;
            }
            for (int64_t k = T - 1; k >= 0; k--) {
              int64_t row = b * L + t0 + k;
              const float *bt = B + row * sB, *ct = C + row * sC;
              vec g = gs[i][k], x = xs[i][k], uu = us[i][k], xu = x * uu, sumB = {}, sumA = {};
              if (z) {
                vec zz = zs[i][k], q = gate[i][k];
                zs[i][k] = g * ys[k] * q * (1.f + zz * (1.f - q));
                g = g * zz * q;
              }
              int fresh = starts && starts[row];
              const vec *before = fresh ? zeros : states + k * N, *after = states + (k + 1) * N, *a = decays + k * N;
              vec *pB = accB + k * N, *pC = accC + k * N;
              for (int64_t n = 0; n < N; n++) {
                vec q = carry[n] + g * ct[n], qa = q * a[n], w = qa * before[n];
                pC[n] = pC[n] + g * after[n];
                pB[n] = pB[n] + q * xu;
                sumB = sumB + q * bt[n];
                sumA = sumA + w * a2[n];
                dAj[n] = dAj[n] + w * x;
                carry[n] = qa;
              }
              if (fresh) memset(carry, 0, N * sizeof(vec));
              vec gd = (sumB * uu + sumA * (1.f / LOG2E)) * slope[i][k];
              sumbias = sumbias + gd;
              sumD = sumD + g * uu;
              xs[i][k] = gd;
              us[i][k] = sumB * x + g * Dd;
            }
            dDs[j - j0] = dDs[j - j0] + sumD;
            dbiases[j - j0] = dbiases[j - j0] + sumbias;
          }
          for (int64_t k = 0; k < T; k++)
            for (int64_t i = 0; i < E; i++) {
              int64_t row = b * L + t0 + k, d = (e0 + i) * V;
              store(du + row * D + d, us[i][k], D - d);
              store(ddt + row * D + d, xs[i][k], D - d);
              if (z) store(dz + row * sdz + d, zs[i][k], D - d);
            }
        }
        for (int64_t k = 0; k < T; k++)
          for (int64_t n = 0; n < N; n++) {
            int64_t o = ((b * S + s) * L + t0 + k) * sdB + n;
            dB[o] = sum_lanes(accB[k * N + n]);
            dC[o] = sum_lanes(accC[k * N + n]);
          }
      }
      for (int64_t i = 0; i < own; i++) {
        int64_t d = (j0 + i) * V;
        unblock(dA + b * D * N, dAs + i * N, d, D, N);
        if (dinitial) unblock(dinitial + b * D * N, carries + i * N, d, D, N);
        if (dD) store(dD + b * D + d, dDs[i], D - d);
        if (dbias) store(dbias + b * D + d, dbiases[i], D - d);
      }
      free(memory);
    }
  return failed;
}
