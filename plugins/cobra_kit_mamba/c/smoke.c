// Runs every function once on small numbers, so that a child process can try a fresh library before the host loads it.
#include "kernels.h"
#include "vector.h"
#include <math.h>

int cobra_lanes(void) { return V; }

int cobra_smoke(void) {
  enum { L = 3, D = 5, N = 2, TAPS = 4, ROW = L * D };
  float one[ROW * TAPS], y[ROW], out[5][ROW], dA[D * N], dB[L * N], dC[L * N], kept[V * N], state[D * N] = {0};
  float dw[D * TAPS], past[D * TAPS] = {0}, rstd[L], many[2 * D * D];
  const uint8_t starts[L] = {0, 0, 1};
  for (int i = 0; i < ROW * TAPS; i++) one[i] = 0.5f;
  for (int i = 0; i < 2 * D * D; i++) many[i] = 0.5f;
  memset(out, 0, sizeof(out));
  cobra_scan_forward(one, one, one, one, one, one, one, one, NULL, starts, y, state, kept, 1, L, D, N, D, D, N, N, D, 1);
  int failed = cobra_scan_backward(one, one, one, one, one, one, one, one, starts, kept, y, state, out[0], out[1], dA, dB,
                                   dC, out[2], out[3], out[4], NULL, 1, L, D, N, D, D, N, N, D, N, D, 1, 1);
  cobra_conv_forward(one, one, one, NULL, starts, y, 1, L, D, D, 1);
  cobra_conv_backward(one, one, one, NULL, starts, y, out[4], NULL, dw, NULL, 1, L, D, D, D, 1);
  cobra_norm_forward(one, y, one, 1e-5f, out[3], out[2], rstd, L, D, 1);
  cobra_norm_backward(out[3], one, rstd, y, one, out[2], dw, L, D, 1, 1);
  cobra_conv_step(past, one, one, NULL, y, 1, D, D, D);
  cobra_scan_step(state, one, one, one, one, one, one, one, one, y, 1, D, N, D, D, N, N, D, D, 1, 1);
  float step[D], row[TAPS * D] = {0}, work[1024];
  const float *parameters[11];
  float *states[2] = {row, state};
  int32_t length = 0;
  for (int i = 0; i < 11; i++) parameters[i] = many;
  if (cobra_decode_work(1, D, D, N, 1, 1) > 1024) return 1;
  cobra_decode_step(parameters, states, &length, one, step, work, 1e-5f, 1, 1, D, D, N, 1, 1);
  for (int i = 0; i < D; i++) failed |= !isfinite(step[i]);
  for (int i = 0; i < ROW; i++) failed |= !isfinite(out[0][i]) || !isfinite(out[2][i]) || !isfinite(out[4][i]);
  return failed;
}
