// One token of decoding, states in place, no memory asked for. Every row of a tensor is dense; its stride between the
// rows of the batch is free.
#include "kernels.h"
#include "step.h"

// state: (b, D, 4), the last inputs, newest last. x, y: (b, D). w: (D, 4). bias may be NULL.
void cobra_conv_step(float *state, const float *x, const float *w, const float *bias, float *y, int64_t nb, int64_t D,
                     int64_t sx, int64_t sy) {
  for (int64_t b = 0; b < nb; b++) conv_step(state + b * D * TAPS, x + b * sx, w, bias, y + b * sy, 0, D);
}

// state: (b, D, N). u, dt, z, y: (b, D); B, C: (b, N). A: (D, N), as it is or, with `log`, the logarithm of -A. Dv, z
// and bias may be NULL.
void cobra_scan_step(float *state, const float *u, const float *dt, const float *A, const float *B, const float *C,
                     const float *Dv, const float *z, const float *bias, float *y, int64_t nb, int64_t D, int64_t N,
                     int64_t su, int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int64_t sy, int log, int threads) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * D * N > 16 * MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t j = 0; j < (D + V - 1) / V; j++)
      scan_step(state + b * D * N, u + b * su, dt + b * sdt, A, log, B + b * sB, C + b * sC, Dv, z ? z + b * sz : NULL,
                bias, y + b * sy, N, j * V, j * V + V < D ? j * V + V : D);
}
