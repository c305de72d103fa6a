// Selective scan (Mamba-1) and causal depthwise convolution, forward and backward, for CPUs. Plain C, no torch headers.
//   cc -O3 -march=native -fopenmp -shared -fPIC scan.c
// Letters: b rows, L tokens, D inner channels (a multiple of 8), N state numbers per channel (at most MAXN).
// u, dt, z: (b, L, D), B, C: (b, L, N), each with a free stride between tokens and none between rows or channels.
// What belongs to the state is blocked, (D/8, N, 8), so that one vector is 8 channels of one n: no horizontal sums.
// The maths is in scan_reference.py; the reasons for the layout and the figures are in SCAN.md, variant g.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define V 8         // channels of a vector
#define K 16        // tokens between two kept states: they take N/K times the memory of u
#define MAXN 64
#define GROUP 8     // forward: vectors of a task, 64 channels
#define PASS 4      // backward: vectors of a pass, 4 = 128 bytes of a row, whole cache lines in and out
#define AHEAD 4     // rows to prefetch: rows may lie pages apart, where the hardware's prefetcher stops
#define MIN_PARALLEL 4096

typedef float v8 __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef float v8u __attribute__((vector_size(32), aligned(4)));

#define LD(p) (*(const v8u *)(p))
#define ST(p, x) (*(v8u *)(p) = (x))
#define LOG2E 1.44269504088896341f

static inline v8 splat(float x) { return x - (v8){}; }
static inline v8 select8(v8i mask, v8 a, v8 b) { return (v8)((mask & (v8i)a) | (~mask & (v8i)b)); }

// The larger of x and low; NaN stays NaN, so that a bad value cannot hide.
#ifdef __AVX__
#include <immintrin.h>
static inline v8 at_least(v8 x, float low) { return (v8)_mm256_max_ps((__m256)splat(low), (__m256)x); }
#else
static inline v8 at_least(v8 x, float low) { return select8(x < low, splat(low), x); }
#endif

// 2^x for x <= 126; at least 2^-126. Exactly 1 at 0: an error there would grow by 1 / (1 - decay).
static inline v8 exp2v(v8 x) {
  x = at_least(x, -126.f);
  v8 shifted = x + 12582912.f, f = x - (shifted - 12582912.f);  // 1.5 * 2^23 rounds to an integer
  v8 p = splat(1.5353362e-4f);
  p = p * f + 1.3398874e-3f;
  p = p * f + 9.6184373e-3f;
  p = p * f + 5.5503324e-2f;
  p = p * f + 2.4022648e-1f;
  p = p * f + 6.9314720e-1f;
  p = p * f + 1.0f;
  return (v8)((v8i)p + ((v8i)shifted << 23));
}

static inline v8 sigmoidv(v8 x) {
  v8i negative = x < 0.f;
  v8 e = exp2v(select8(negative, x, -x) * LOG2E), r = 1.f / (1.f + e);
  return select8(negative, e * r, r);
}

// max(x, 0) + log1p(exp(-|x|)), log1p(e) as 2 atanh(e / (2 + e)): the plain form loses small time steps.
static inline v8 softplusv(v8 x) {
  v8i negative = x < 0.f;
  v8 e = exp2v(select8(negative, x, -x) * LOG2E), s = e / (2.f + e), q = s * s;
  v8 p = splat(1.f / 17);
  p = p * q + 1.f / 15;
  p = p * q + 1.f / 13;
  p = p * q + 1.f / 11;
  p = p * q + 1.f / 9;
  p = p * q + 1.f / 7;
  p = p * q + 1.f / 5;
  p = p * q + 1.f / 3;
  p = p * q + 1.f;
  return select8(negative, (v8){}, x) + 2.f * s * p;
}

static inline float sum8(v8 x) {
  float s = 0;
  for (int i = 0; i < V; i++) s += x[i];
  return s;
}

// A2: (D/8, N, 8), A * log2(e). state: (b, D/8, N, 8), read and replaced. kept: (b, ceil(L/K), D/8, N, 8) or NULL.
// Dv and z may be NULL. y: (b, L, D).
void cobra_scan_forward(const float *u, const float *dt, const float *A2, const float *B, const float *C,
                        const float *Dv, const float *z, const float *bias, float *y, float *state, float *kept,
                        int64_t nb, int64_t L, int64_t D, int64_t N, int64_t su, int64_t sdt, int64_t sB, int64_t sC,
                        int64_t sz, int threads) {
  int64_t nd = D / V, ng = (nd + GROUP - 1) / GROUP, nc = (L + K - 1) / K;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * L * D > MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t g = 0; g < ng; g++) {
      int64_t j0 = g * GROUP, j1 = j0 + GROUP < nd ? j0 + GROUP : nd;
      v8 h[GROUP][MAXN];
      for (int64_t j = j0; j < j1; j++) memcpy(h[j - j0], state + (b * nd + j) * N * V, N * V * 4);
      for (int64_t t = 0; t < L; t++) {
        int64_t row = b * L + t, ahead = t + AHEAD < L ? row + AHEAD : row;
        const float *bt = B + row * sB, *ct = C + row * sC;
        if (kept && t % K == 0)
          for (int64_t j = j0; j < j1; j++)
            memcpy(kept + ((b * nc + t / K) * nd + j) * N * V, h[j - j0], N * V * 4);
        v8 xs[GROUP], ys[GROUP];  // independent chains side by side hide the latency of softplus and silu
        for (int64_t j = j0; j < j1; j++) {
          __builtin_prefetch(u + ahead * su + j * V);
          __builtin_prefetch(dt + ahead * sdt + j * V);
          if (z) __builtin_prefetch(z + ahead * sz + j * V);
          xs[j - j0] = softplusv(LD(dt + row * sdt + j * V) + LD(bias + j * V));
        }
        for (int64_t j = j0; j < j1; j++) {
          v8 uu = LD(u + row * su + j * V), x = xs[j - j0], xu = x * uu;
          v8 acc = Dv ? LD(Dv + j * V) * uu : (v8){};
          const float *a2 = A2 + j * N * V;
          v8 *hj = h[j - j0];
          for (int64_t n = 0; n < N; n++) {
            v8 hn = exp2v(x * LD(a2 + n * V)) * hj[n] + xu * bt[n];
            hj[n] = hn;
            acc = acc + hn * ct[n];
          }
          ys[j - j0] = acc;
        }
        for (int64_t j = j0; j < j1; j++) {
          v8 acc = ys[j - j0];
          if (z) {
            v8 zz = LD(z + row * sz + j * V);
            acc = acc * zz * sigmoidv(zz);
          }
          ST(y + row * D + j * V, acc);
        }
      }
      for (int64_t j = j0; j < j1; j++) memcpy(state + (b * nd + j) * N * V, h[j - j0], N * V * 4);
    }
}

// gy, du, ddt, dz: (b, L, D) dense. dA: (b, D/8, N, 8), dD and dbias: (b, D), the three zeroed by the caller.
// dB, dC: (b, S, L, N) for S splits of the channels. dstate: (b, D/8, N, 8), the last state's gradient in, the first's
// out. Returns 0, or 1 where there was no memory.
int cobra_scan_backward(const float *u, const float *dt, const float *A2, const float *B, const float *C,
                        const float *Dv, const float *z, const float *bias, const float *gy, const float *kept,
                        float *du, float *ddt, float *dA, float *dB, float *dC, float *dD, float *dz, float *dbias,
                        float *dstate, int64_t nb, int64_t L, int64_t D, int64_t N, int64_t su, int64_t sdt,
                        int64_t sB, int64_t sC, int64_t sz, int64_t S, int threads) {
  int64_t nd = D / V, nc = (L + K - 1) / K, per = (nd + S - 1) / S;
  int failed = 0;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) reduction(| : failed)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t s = 0; s < S; s++) {
      int64_t j0 = s * per < nd ? s * per : nd, j1 = j0 + per < nd ? j0 + per : nd;
      size_t kn = (size_t)K * N;
      v8 *memory = aligned_alloc(64, ((4 * kn + N) * sizeof(v8) + 63) / 64 * 64);
      if (!memory) {
        failed |= 1;
        continue;
      }
      v8 *accB = memory, *accC = accB + kn, *decays = accC + kn, *states = decays + kn;
      for (int64_t c = nc - 1; c >= 0; c--) {
        int64_t t0 = c * K, T = L - t0 < K ? L - t0 : K;
        memset(accB, 0, 2 * kn * sizeof(v8));
        for (int64_t e0 = j0; e0 < j1; e0 += PASS) {
          int64_t E = j1 - e0 < PASS ? j1 - e0 : PASS;
          v8 xs[PASS][K], us[PASS][K], slope[PASS][K], gs[PASS][K], zs[PASS][K], gate[PASS][K];
          for (int64_t k = 0; k < T; k++)
            for (int64_t i = 0; i < E; i++) {
              int64_t row = b * L + t0 + k, d = (e0 + i) * V;
              us[i][k] = LD(u + row * su + d);
              xs[i][k] = LD(dt + row * sdt + d);
              gs[i][k] = LD(gy + row * D + d);
              if (z) zs[i][k] = LD(z + row * sz + d);
            }
          for (int64_t i = 0; i < E; i++) {
            v8 bd = LD(bias + (e0 + i) * V);
            for (int64_t k = 0; k < T; k++) {
              v8 x = xs[i][k] + bd;
              xs[i][k] = softplusv(x);
              slope[i][k] = sigmoidv(x);
              if (z) gate[i][k] = sigmoidv(zs[i][k]);
            }
          }
          for (int64_t i = 0; i < E; i++) {
            int64_t j = e0 + i, d = j * V;
            const float *a2 = A2 + j * N * V;
            float *dAj = dA + (b * nd + j) * N * V, *carry = dstate + (b * nd + j) * N * V;
            v8 ys[K], Dd = Dv ? LD(Dv + d) : (v8){}, sumD = {}, sumbias = {};
            memcpy(states, kept + ((b * nc + c) * nd + j) * N * V, N * sizeof(v8));
            for (int64_t k = 0; k < T; k++) {  // the chunk's states and decays once more
              const float *bt = B + (b * L + t0 + k) * sB, *ct = C + (b * L + t0 + k) * sC;
              v8 x = xs[i][k], xu = x * us[i][k], acc = Dd * us[i][k];
              v8 *before = states + k * N, *after = before + N, *a = decays + k * N;
              for (int64_t n = 0; n < N; n++) {
                a[n] = exp2v(x * LD(a2 + n * V));
                after[n] = a[n] * before[n] + xu * bt[n];
                acc = acc + after[n] * ct[n];
              }
              ys[k] = acc;
            }
            for (int64_t k = T - 1; k >= 0; k--) {
              const float *bt = B + (b * L + t0 + k) * sB, *ct = C + (b * L + t0 + k) * sC;
              v8 g = gs[i][k], x = xs[i][k], uu = us[i][k], xu = x * uu, sumB = {}, sumA = {};
              if (z) {
                v8 zz = zs[i][k], q = gate[i][k];
                zs[i][k] = g * ys[k] * q * (1.f + zz * (1.f - q));
                g = g * zz * q;
              }
              v8 *before = states + k * N, *after = before + N, *a = decays + k * N;
              v8 *pB = accB + k * N, *pC = accC + k * N;
              for (int64_t n = 0; n < N; n++) {
                v8 q = LD(carry + n * V) + g * ct[n], qa = q * a[n], w = qa * before[n];
                pC[n] = pC[n] + g * after[n];
                pB[n] = pB[n] + q * xu;
                sumB = sumB + q * bt[n];
                sumA = sumA + w * LD(a2 + n * V);
                ST(dAj + n * V, LD(dAj + n * V) + w * x);
                ST(carry + n * V, qa);
              }
              v8 gd = (sumB * uu + sumA * (1.f / LOG2E)) * slope[i][k];
              sumbias = sumbias + gd;
              sumD = sumD + g * uu;
              xs[i][k] = gd;
              us[i][k] = sumB * x + g * Dd;
            }
            ST(dD + b * D + d, LD(dD + b * D + d) + sumD);
            ST(dbias + b * D + d, LD(dbias + b * D + d) + sumbias);
          }
          for (int64_t k = 0; k < T; k++)
            for (int64_t i = 0; i < E; i++) {
              int64_t o = (b * L + t0 + k) * D + (e0 + i) * V;
              ST(du + o, us[i][k]);
              ST(ddt + o, xs[i][k]);
              if (z) ST(dz + o, zs[i][k]);
            }
        }
        for (int64_t k = 0; k < T; k++)
          for (int64_t n = 0; n < N; n++) {
            int64_t o = ((b * S + s) * L + t0 + k) * N + n;
            dB[o] = sum8(accB[k * N + n]);
            dC[o] = sum8(accC[k * N + n]);
          }
      }
      free(memory);
    }
  return failed;
}

#define TAPS 4

static inline v8 convolve(const float *x, const float *w, const float *bias, int64_t t, int64_t D, int64_t sx) {
  v8 a = LD(bias);
  for (int i = 0; i < TAPS && i <= t; i++) a = a + LD(x - i * sx) * LD(w + (TAPS - 1 - i) * D);
  return a;
}

// x: (b, L, D), sx between tokens. w: (4, D). y: (b, L, D) dense, silu of the convolution.
void cobra_conv_forward(const float *x, const float *w, const float *bias, float *y, int64_t nb, int64_t L, int64_t D,
                        int64_t sx, int threads) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * L * D > MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t t = 0; t < L; t++)
      for (int64_t d = 0; d < D; d += V) {
        v8 a = convolve(x + (b * L + t) * sx + d, w + d, bias + d, t, D, sx);
        ST(y + (b * L + t) * D + d, a * sigmoidv(a));
      }
}

// ga: scratch (b, L, D). dw: (b, 4, D) and dbias: (b, D), zeroed by the caller. dx: (b, L, D) dense.
void cobra_conv_backward(const float *x, const float *w, const float *bias, const float *gy, float *ga, float *dx,
                         float *dw, float *dbias, int64_t nb, int64_t L, int64_t D, int64_t sx, int threads) {
  enum { BLOCK = 256 };  // channels of a task: their dw stays in the first cache
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t e = 0; e < (D + BLOCK - 1) / BLOCK; e++) {
      int64_t d1 = (e + 1) * BLOCK < D ? (e + 1) * BLOCK : D;
      for (int64_t t = L - 1; t >= 0; t--) {  // backwards: dx of token t needs ga of the tokens after it
        int64_t row = b * L + t;
        for (int64_t d = e * BLOCK; d < d1; d += V) {
          const float *xt = x + row * sx + d;
          float *gt = ga + row * D + d;
          v8 a = convolve(xt, w + d, bias + d, t, D, sx), s = sigmoidv(a);
          v8 g = LD(gy + row * D + d) * s * (1.f + a * (1.f - s)), o = {};
          ST(gt, g);
          ST(dbias + b * D + d, LD(dbias + b * D + d) + g);
          for (int i = 0; i < TAPS && i <= t; i++) {
            float *p = dw + (b * TAPS + TAPS - 1 - i) * D + d;
            ST(p, LD(p) + g * LD(xt - i * sx));
          }
          for (int i = 0; i < TAPS && t + i < L; i++) o = o + LD(gt + i * D) * LD(w + (TAPS - 1 - i) * D + d);
          ST(dx + row * D + d, o);
        }
      }
    }
}

// Runs everything once on small numbers, so that a child process can try a fresh library before the host loads it.
int cobra_smoke(void) {
  enum { L = 3, D = 8, N = 2, S = N * V };
  float one[L * D], y[L * D], out[7][L * D], A2[S], state[S] = {0}, kept[S], dA[S] = {0}, dB[L * N], dC[L * N];
  for (int i = 0; i < L * D; i++) one[i] = 0.5f;
  for (int i = 0; i < S; i++) A2[i] = -1.f;
  memset(out, 0, sizeof(out));
  cobra_scan_forward(one, one, A2, one, one, one, one, one, y, state, kept, 1, L, D, N, D, D, N, N, D, 1);
  int failed = cobra_scan_backward(one, one, A2, one, one, one, one, one, y, kept, out[0], out[1], dA, dB, dC, out[2],
                                   out[3], out[4], state, 1, L, D, N, D, D, N, N, D, 1, 1);
  float w[TAPS * D], dw[TAPS * D] = {0};
  for (int i = 0; i < TAPS * D; i++) w[i] = 0.25f;
  cobra_conv_forward(one, w, one, y, 1, L, D, D, 1);
  cobra_conv_backward(one, w, one, y, out[5], out[6], dw, out[4], 1, L, D, D, 1);
  for (int i = 0; i < L * D; i++) failed |= !isfinite(y[i]) || !isfinite(out[0][i]) || !isfinite(out[6][i]);
  return failed;
}
