// One token of decoding through all blocks of a model and its last norm, in one call: states in place, no memory asked
// for. What takes the time is reading the weights, once.
// Letters: b rows, M channels of the model, D inner channels, N states per channel, R the rank of the time step.
// Everything is dense.
// The threads share the inner channels. What a thread's channels bring to a product over all of them it writes for
// itself, and after a barrier each thread adds up the parts: two barriers a block. The rest, norms too, each does alone.
#include "kernels.h"
#include "norm.h"
#include "step.h"
#ifdef _OPENMP
#include <omp.h>
#endif

#define OUTPUTS 4  // of a product side by side: independent sums hide the latency of an addition
#define ROWS 4     // rows that share one reading of the weights
#define MIN_SHARED (1 << 18)  // numbers of all out_proj, below which a second thread costs more than it brings
#define ALIGN(count) (((count) + 15) / 16 * 16)

enum { NORM, IN_PROJ, CONV_W, CONV_B, X_PROJ, DT_PROJ, DT_BIAS, A_LOG, SKIP, OUT_PROJ, PARAMETERS };

INLINE void product(const float *w, const float *x, float *y, int outputs, int rows, int64_t in, int64_t sw,
                    int64_t sx, int64_t sy) {
  vec sum[ROWS][OUTPUTS] = {};
  for (int64_t i = 0; i < in; i += V) {
    vec from[OUTPUTS];
    for (int o = 0; o < outputs; o++) from[o] = load(w + o * sw + i, in - i);
    for (int b = 0; b < rows; b++) {
      vec xb = load(x + b * sx + i, in - i);
      for (int o = 0; o < outputs; o++) sum[b][o] = sum[b][o] + from[o] * xb;
    }
  }
  for (int b = 0; b < rows; b++)
    for (int o = 0; o < outputs; o++) y[b * sy + o] = sum_lanes(sum[b][o]);
}

// y[b][o] = w[o] . x[b] for `out` outputs and nb rows of `in` numbers; sw, sx and sy between rows of w, x and y.
static void linear(const float *w, const float *x, float *y, int64_t out, int64_t in, int64_t nb, int64_t sw,
                   int64_t sx, int64_t sy) {
  for (int64_t o = 0; o < out; o += OUTPUTS)
    for (int64_t b = 0; b < nb; b += ROWS) {
      const float *from = w + o * sw, *xb = x + b * sx;
      float *to = y + b * sy + o;
      if (out - o < OUTPUTS)
        for (int64_t i = 0; i < out - o; i++)
          for (int64_t row = 0; row < nb - b && row < ROWS; row++)
            product(from + i * sw, xb + row * sx, to + row * sy + i, 1, 1, in, sw, sx, sy);
      else
        switch (nb - b) {
          case 1: product(from, xb, to, OUTPUTS, 1, in, sw, sx, sy); break;
          case 2: product(from, xb, to, OUTPUTS, 2, in, sw, sx, sy); break;
          case 3: product(from, xb, to, OUTPUTS, 3, in, sw, sx, sy); break;
          default: product(from, xb, to, OUTPUTS, ROWS, in, sw, sx, sy);
        }
    }
}

// The first channel of thread `me` of `all`: whole vectors each.
static int64_t first(int64_t D, int me, int all) {
  int64_t at = (D + V - 1) / V * me / all * V;
  return at < D ? at : D;
}

// The sum of what the threads have computed, `each` numbers apart, over the first thread's.
static void add_up(const float *parts, float *sum, int64_t count, int64_t each, int all) {
  for (int64_t i = 0; i < count; i += V) {
    vec total = load(parts + i, count - i);
    for (int thread = 1; thread < all; thread++) total = total + load(parts + thread * each + i, count - i);
    store(sum + i, total, count - i);
  }
}

// Floats of workspace: rows of xz for all, and for each thread its parts of two sums and what it keeps for itself.
int64_t cobra_decode_work(int64_t nb, int64_t M, int64_t D, int64_t N, int64_t R, int threads) {
  return ALIGN(nb * 3 * D) + threads * (4 * ALIGN(nb * M) + 2 * ALIGN(nb * (R + 2 * N)));
}

// parameters: of every layer in the order of the names above, then the last norm's weight. states: of every layer the
// last inputs (b, D, 4) and the state (b, D, N). lengths: (b,), tokens seen. x, out: (b, M). work: as many floats as
// cobra_decode_work says.
void cobra_decode_step(const float *const *parameters, float *const *states, int32_t *lengths, const float *x,
                       float *out, float *work, float eps, int64_t layers, int64_t nb, int64_t M, int64_t D, int64_t N,
                       int64_t R, int threads) {
  int64_t W = R + 2 * N, wide = ALIGN(nb * M), narrow = ALIGN(nb * W);
  float *xz = work, *outs = xz + ALIGN(nb * 3 * D), *choices = outs + threads * wide, *own = choices + threads * narrow;
  for (int64_t b = 0; b < nb; b++) lengths[b]++;
  if (layers * M * D < MIN_SHARED) threads = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
#ifdef _OPENMP
    int me = omp_get_thread_num(), all = omp_get_num_threads();
#else
    int me = 0, all = 1;
#endif
    float *residual = own + me * (3 * wide + narrow), *normed = residual + wide, *added = normed + wide;
    float *selected = added + wide, *B = selected + R, *C = B + N;
    int64_t c0 = first(D, me, all), c1 = first(D, me + 1, all), count = c1 - c0;
    memcpy(residual, x, nb * M * sizeof(float));
    for (int64_t layer = 0; layer <= layers; layer++) {
      const float *const *p = parameters + layer * PARAMETERS;
      if (layer) add_up(outs, added, nb * M, wide, all);
      if (layer == layers && me) break;
      for (int64_t b = 0; b < nb; b++)
        norm_row(residual + b * M, layer ? added + b * M : NULL, p[NORM], eps, layer ? residual + b * M : NULL,
                 (layer < layers ? normed : out) + b * M, M);
      if (layer == layers) break;
      // A row of xz: the inputs, which become u and then the outputs; the gates; the time steps.
      linear(p[IN_PROJ] + c0 * M, normed, xz + c0, count, M, nb, M, M, 3 * D);
      linear(p[IN_PROJ] + (D + c0) * M, normed, xz + D + c0, count, M, nb, M, M, 3 * D);
      for (int64_t b = 0; b < nb; b++) {
        float *u = xz + b * 3 * D;
        conv_step(states[2 * layer] + b * D * TAPS, u, p[CONV_W], p[CONV_B], u, c0, c1);
      }
      linear(p[X_PROJ] + c0, xz + c0, choices + me * narrow, W, count, nb, D, 3 * D, W);
#pragma omp barrier
      add_up(choices, selected, nb * W, narrow, all);
      linear(p[DT_PROJ] + c0 * R, selected, xz + 2 * D + c0, count, R, nb, R, W, 3 * D);
      for (int64_t b = 0; b < nb; b++) {
        float *u = xz + b * 3 * D;
        scan_step(states[2 * layer + 1] + b * D * N, u, u + 2 * D, p[A_LOG], 1, B + b * W, C + b * W, p[SKIP], u + D,
                  p[DT_BIAS], u, N, c0, c1);
      }
      linear(p[OUT_PROJ] + c0, xz + c0, outs + me * wide, M, count, nb, D, 3 * D, M);
#pragma omp barrier
    }
  }
}
