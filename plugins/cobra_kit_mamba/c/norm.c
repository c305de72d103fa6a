// Root mean square norm with the residual addition before it: s = x + added, y = s / rms(s) * w.
// Rows of D numbers, dense. The gradient of w is summed in P parts of the rows, whatever the number of threads, so that
// it does not depend on it.
#include "kernels.h"
#include "norm.h"

// added and sum may be NULL, both or neither. rstd: (R,), 1 / rms.
void cobra_norm_forward(const float *x, const float *added, const float *w, float eps, float *sum, float *y,
                        float *rstd, int64_t R, int64_t D, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (R * D > MIN_PARALLEL)
  for (int64_t r = 0; r < R; r++)
    rstd[r] = norm_row(x + r * D, added ? added + r * D : NULL, w, eps, sum ? sum + r * D : NULL, y + r * D, D);
}

// s: what was normed. gy, gs: the gradients of y and (or NULL) of s. dx: of s in all. dw: (P, D).
void cobra_norm_backward(const float *s, const float *w, const float *rstd, const float *gy, const float *gs,
                         float *dx, float *dw, int64_t R, int64_t D, int64_t P, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (R * D > MIN_PARALLEL)
  for (int64_t p = 0; p < P; p++) {
    float *own = dw + p * D;
    memset(own, 0, D * sizeof(float));
    for (int64_t r = p * R / P; r < (p + 1) * R / P; r++) {
      vec dots = {};
      for (int64_t d = 0; d < D; d += V)
        dots = dots + load(gy + r * D + d, D - d) * load(w + d, D - d) * load(s + r * D + d, D - d);
      float scale = rstd[r], mean = sum_lanes(dots) / D * scale * scale * scale;
      for (int64_t d = 0; d < D; d += V) {
        int64_t left = D - d;
        vec g = load(gy + r * D + d, left), a = load(s + r * D + d, left);
        vec out = g * load(w + d, left) * scale - a * mean;
        if (gs) out = out + load(gs + r * D + d, left);
        store(dx + r * D + d, out, left);
        store(own + d, load(own + d, left) + g * a * scale, left);
      }
    }
  }
}
