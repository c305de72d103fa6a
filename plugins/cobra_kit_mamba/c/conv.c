// The causal depthwise convolution of four taps with SiLU, forward and backward.
// x: (b, L, D), a free stride between tokens, none between rows or channels. w: (D, 4), the last tap is the current
// token's. before: (b, 3, D), the tokens before the first, or NULL for zeros. starts: (b, L), not 0 where a token begins
// a segment and sees none before it, or NULL. Channels go along the vectors; a task walks along the tokens and has taps
// and neighbours in registers.
#include "kernels.h"
#include "vector.h"

#define TAPS 4
#define PASS 2    // vectors side by side
#define TASK 8    // vectors of a task
#define AHEAD 8   // rows to prefetch

typedef struct {
  vec tap[TAPS], bias;
} weights;

static weights weights_of(const float *w, const float *bias, int64_t d, int64_t D) {
  weights of = {0};
  for (int64_t i = 0; i < V && d + i < D; i++)
    for (int k = 0; k < TAPS; k++) of.tap[k][i] = w[(d + i) * TAPS + k];
  if (bias && d < D) of.bias = load(bias + d, D - d);
  return of;
}

// The inputs before token t of a row, newest first: past[i] is x[t - 1 - i].
static void past_of(vec *past, const float *before, int64_t b, int64_t d, int64_t D, int first) {
  for (int i = 0; i < TAPS - 1; i++)
    past[i] = first && before && d < D ? load(before + (b * (TAPS - 1) + TAPS - 2 - i) * D + d, D - d) : (vec){};
}

static inline vec convolve(const weights *of, vec x, const vec *past) {
  return of->bias + x * of->tap[3] + past[0] * of->tap[2] + past[1] * of->tap[1] + past[2] * of->tap[0];
}

static inline vec load_if(const float *p, int64_t left) { return left > 0 ? load(p, left) : (vec){}; }

static int64_t segment_end(const uint8_t *starts, int64_t t, int64_t L) {
  if (!starts) return L;
  for (t++; t < L && !starts[t];) t++;
  return t;
}

// y: (b, L, D) dense.
void cobra_conv_forward(const float *x, const float *w, const float *bias, const float *before, const uint8_t *starts,
                        float *y, int64_t nb, int64_t L, int64_t D, int64_t sx, int threads) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * L * D > MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t e = 0; e < (D + TASK * V - 1) / (TASK * V); e++)
      for (int64_t d = e * TASK * V; d < D && d < (e + 1) * TASK * V; d += PASS * V) {
        weights of[PASS];
        for (int i = 0; i < PASS; i++) of[i] = weights_of(w, bias, d + i * V, D);
        const uint8_t *row_starts = starts ? starts + b * L : NULL;
        for (int64_t t0 = 0, t1; t0 < L; t0 = t1) {
          t1 = segment_end(row_starts, t0, L);
          vec past[PASS][TAPS - 1];
          for (int i = 0; i < PASS; i++) past_of(past[i], before, b, d + i * V, D, !t0 && !(row_starts && *row_starts));
          for (int64_t t = t0; t < t1; t++) {
            const float *xt = x + (b * L + t) * sx + d;
            __builtin_prefetch(xt + (t + AHEAD < L ? AHEAD * sx : 0));
            for (int i = 0; i < PASS; i++) {
              int64_t left = D - d - i * V;
              vec now = load_if(xt + i * V, left), a = convolve(&of[i], now, past[i]);
              if (left > 0) store(y + (b * L + t) * D + d + i * V, a * sigmoidv(a), left);
              past[i][2] = past[i][1], past[i][1] = past[i][0], past[i][0] = now;
            }
          }
        }
      }
}

typedef struct {
  float *dx, *dbefore;
  int64_t stride, width;
} target;

// Writes the gradient of the input at token t of a segment that begins at t0.
static inline void put(target to, vec g, int64_t t, int64_t t0, int first, int64_t left) {
  if (t >= t0)
    store(to.dx + t * to.stride, g, left);
  else if (first && to.dbefore)
    store(to.dbefore + (TAPS - 1 + t - t0) * to.width, g, left);
}

// gy: (b, L, D) dense. dx: sdx between tokens. dbefore: (b, 3, D) or NULL, zeroed by the caller. dw: (b, D, 4),
// dbias: (b, D) or NULL. All but dbefore is written, nothing added.
void cobra_conv_backward(const float *x, const float *w, const float *bias, const float *before,
                         const uint8_t *starts, const float *gy, float *dx, float *dbefore, float *dw, float *dbias,
                         int64_t nb, int64_t L, int64_t D, int64_t sx, int64_t sdx, int threads) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * L * D > MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t d = 0; d < D; d += V) {
      weights of = weights_of(w, bias, d, D), sum = {0};
      const uint8_t *row_starts = starts ? starts + b * L : NULL;
      target to = {dx + b * L * sdx + d, dbefore ? dbefore + b * (TAPS - 1) * D + d : NULL, sdx, D};
      int64_t left = D - d;
      for (int64_t t0 = 0, t1; t0 < L; t0 = t1) {
        t1 = segment_end(row_starts, t0, L);
        int first = !t0 && !(row_starts && *row_starts);
        vec past[TAPS - 1], open[TAPS - 1] = {0};  // open[i]: the gradient of x[t - 1 - i] so far
        past_of(past, before, b, d, D, first);
        for (int64_t t = t0; t < t1; t++) {
          const float *xt = x + (b * L + t) * sx + d, *gt = gy + (b * L + t) * D + d;
          __builtin_prefetch(xt + (t + AHEAD < L ? AHEAD * sx : 0));
          __builtin_prefetch(gt + (t + AHEAD < L ? AHEAD * D : 0));
          vec now = load(xt, left), a = convolve(&of, now, past), s = sigmoidv(a);
          vec g = load(gt, left) * s * (1.f + a * (1.f - s));
          sum.bias = sum.bias + g;
          sum.tap[3] = sum.tap[3] + g * now;
          for (int i = 0; i < TAPS - 1; i++) sum.tap[2 - i] = sum.tap[2 - i] + g * past[i];
          put(to, open[2] + g * of.tap[0], t - 3, t0, first, left);
          open[2] = open[1] + g * of.tap[1], open[1] = open[0] + g * of.tap[2], open[0] = g * of.tap[3];
          past[2] = past[1], past[1] = past[0], past[0] = now;
        }
        for (int i = 0; i < TAPS - 1; i++) put(to, open[i], t1 - 1 - i, t0, first, left);
      }
      for (int64_t i = 0; i < V && d + i < D; i++)
        for (int k = 0; k < TAPS; k++) dw[(b * D + d + i) * TAPS + k] = sum.tap[k][i];
      if (dbias) store(dbias + b * D + d, sum.bias, left);
    }
}
