// Root mean square norm of one row, which the norm and the decode step share.
#ifndef COBRA_NORM_H
#define COBRA_NORM_H
#include "vector.h"
#include <math.h>

// y = s / rms(s) * w for s = x + added, which goes to sum; added and sum may be NULL, both or neither. sum may be x.
// Returns 1 / rms.
static inline float norm_row(const float *x, const float *added, const float *w, float eps, float *sum, float *y,
                             int64_t D) {
  vec squares = {};
  for (int64_t d = 0; d < D; d += V) {
    vec a = load(x + d, D - d);
    if (added) {
      a = a + load(added + d, D - d);
      store(sum + d, a, D - d);
    }
    squares = squares + a * a;
  }
  const float *s = added ? sum : x;
  float rstd = 1.f / sqrtf(sum_lanes(squares) / D + eps);
  for (int64_t d = 0; d < D; d += V) store(y + d, load(s + d, D - d) * rstd * load(w + d, D - d), D - d);
  return rstd;
}
#endif
