// What the library offers; each function is described where it is defined.
#include <stdint.h>

#define COBRA_SCAN_INPUTS \
  const float *u, const float *dt, const float *A, const float *B, const float *C, const float *Dv, const float *z, \
      const float *bias

int cobra_lanes(void);
int cobra_smoke(void);
int cobra_wait_briefly(int threads);

void cobra_scan_forward(COBRA_SCAN_INPUTS, const float *initial, const uint8_t *starts, float *y, float *last,
                        float *kept, int64_t nb, int64_t L, int64_t D, int64_t N, int64_t su, int64_t sdt, int64_t sB,
                        int64_t sC, int64_t sz, int threads);
int cobra_scan_backward(COBRA_SCAN_INPUTS, const uint8_t *starts, const float *kept, const float *gy,
                        const float *dlast, float *du, float *ddt, float *dA, float *dB, float *dC, float *dD,
                        float *dz, float *dbias, float *dinitial, int64_t nb, int64_t L, int64_t D, int64_t N,
                        int64_t su, int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int64_t sdB, int64_t sdz,
                        int64_t S, int threads);
void cobra_scan_step(float *state, COBRA_SCAN_INPUTS, float *y, int64_t nb, int64_t D, int64_t N, int64_t su,
                     int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int64_t sy, int log, int threads);
void cobra_conv_forward(const float *x, const float *w, const float *bias, const float *before, const uint8_t *starts,
                        float *y, int64_t nb, int64_t L, int64_t D, int64_t sx, int threads);
void cobra_conv_backward(const float *x, const float *w, const float *bias, const float *before,
                         const uint8_t *starts, const float *gy, float *dx, float *dbefore, float *dw, float *dbias,
                         int64_t nb, int64_t L, int64_t D, int64_t sx, int64_t sdx, int threads);
void cobra_conv_step(float *state, const float *x, const float *w, const float *bias, float *y, int64_t nb, int64_t D,
                     int64_t sx, int64_t sy);
void cobra_norm_forward(const float *x, const float *added, const float *w, float eps, float *sum, float *y,
                        float *rstd, int64_t R, int64_t D, int threads);
void cobra_norm_backward(const float *s, const float *w, const float *rstd, const float *gy, const float *gs,
                         float *dx, float *dw, int64_t R, int64_t D, int64_t P, int threads);
void cobra_decode_step(const float *const *parameters, float *const *states, int32_t *lengths, const float *x,
                       float *out, float *work, float eps, int64_t layers, int64_t nb, int64_t M, int64_t D, int64_t N,
                       int64_t R, int threads);
int64_t cobra_decode_work(int64_t nb, int64_t M, int64_t D, int64_t N, int64_t R, int threads);
