// One token of decoding, states in place, no memory asked for. Every row of a tensor is dense; its stride between the
// rows of the batch is free.
#include "kernels.h"
#include "vector.h"

#define TAPS 4

// state: (b, D, 4), the last inputs, newest last. x, y: (b, D). w: (D, 4). bias may be NULL.
void cobra_conv_step(float *state, const float *x, const float *w, const float *bias, float *y, int64_t nb, int64_t D,
                     int64_t sx, int64_t sy) {
  for (int64_t b = 0; b < nb; b++)
    for (int64_t d0 = 0; d0 < D; d0 += V) {
      int64_t count = D - d0 < V ? D - d0 : V;
      vec a = bias ? load(bias + d0, count) : (vec){};
      for (int64_t i = 0; i < count; i++) {
        int64_t d = d0 + i;
        float *s = state + (b * D + d) * TAPS, sum = 0;
        memmove(s, s + 1, (TAPS - 1) * sizeof(float));
        s[TAPS - 1] = x[b * sx + d];
        for (int k = 0; k < TAPS; k++) sum += s[k] * w[d * TAPS + k];
        a[i] += sum;
      }
      store(y + b * sy + d0, a * sigmoidv(a), count);
    }
}

// state: (b, D, N). u, dt, z, y: (b, D); B, C: (b, N). A: (D, N). Dv, z and bias may be NULL.
void cobra_scan_step(float *state, const float *u, const float *dt, const float *A, const float *B, const float *C,
                     const float *Dv, const float *z, const float *bias, float *y, int64_t nb, int64_t D, int64_t N,
                     int64_t su, int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int64_t sy, int threads) {
  int64_t nd = (D + V - 1) / V;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) if (nb * D * N > 16 * MIN_PARALLEL)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t j = 0; j < nd; j++) {
      int64_t d0 = j * V, count = D - d0 < V ? D - d0 : V;
      vec uu = load(u + b * su + d0, count), acc = Dv ? load(Dv + d0, count) * uu : (vec){};
      vec x = load(dt + b * sdt + d0, count);
      x = softplusv(bias ? x + load(bias + d0, count) : x, NULL);
      vec xu = x * uu;
      for (int64_t i = 0; i < count; i++) {
        float *h = state + (b * D + d0 + i) * N, rate = x[i] * LOG2E, in = xu[i];
        const float *a = A + (d0 + i) * N;
        vec sum = {};
        for (int64_t n = 0; n < N; n += V) {
          int64_t left = N - n;
          vec hn = exp2v(rate * load(a + n, left)) * load(h + n, left) + in * load(B + b * sB + n, left);
          store(h + n, hn, left);
          sum = sum + hn * load(C + b * sC + n, left);
        }
        acc[i] += sum_lanes(sum);
      }
      if (z) {
        vec zz = load(z + b * sz + d0, count);
        acc = acc * zz * sigmoidv(zz);
      }
      store(y + b * sy + d0, acc, count);
    }
}
