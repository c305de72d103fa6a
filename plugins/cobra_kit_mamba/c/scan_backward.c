// The backward pass of the selective scan. Letters and layout as in scan.c.
// Chunks of K tokens are walked through from the last to the first, each from the state that the forward pass has kept.
// Of a chunk, PASS vectors of channels are done at a time: read, replayed (their states and decays once more), walked
// back and written, while the next ones are fetched.
#include "scan.h"
#include <stdlib.h>

#define PASS (32 / V)  // vectors of a pass, 128 bytes of a row, whole cache lines in and out
#define SIDE 2         // vectors walked back side by side: they share the sums of B's and C's gradients
#define LINE 16        // floats of a cache line

typedef struct {
  const float *u, *dt, *B, *C, *z, *gy;
  float *du, *ddt, *dz;
  const uint8_t *starts;
  int64_t D, N, su, sdt, sB, sC, sz, sdz;
} tensors;

// A chunk of a pass. After walking back, x, u and z hold the gradients of dt, u and z.
typedef struct {
  vec x[PASS][K], u[PASS][K], slope[PASS][K], g[PASS][K], z[PASS][K], gate[PASS][K], y[PASS][K], skip[PASS];
} chunk;

// Of a task: (K, N) sums over its channels; per vector of a pass (K + 1, N) states and (K, N) decays; and per vector of
// its channels (N,) or one.
typedef struct {
  vec *accB, *accC, *states, *decays, *zeros, *a, *dA, *carry, *dD, *dbias;
} memory;

INLINE void read_chunk(const tensors *of, chunk *own, const float *bias, int64_t row, int64_t d0, int64_t E,
                       int64_t T) {
  for (int64_t k = 0; k < T; k++)
    for (int64_t i = 0; i < E; i++) {
      int64_t d = d0 + i * V, left = of->D - d;
      own->u[i][k] = load(of->u + (row + k) * of->su + d, left);
      own->x[i][k] = load(of->dt + (row + k) * of->sdt + d, left);
      own->g[i][k] = load(of->gy + (row + k) * of->D + d, left);
      if (of->z) own->z[i][k] = load(of->z + (row + k) * of->sz + d, left);
    }
  for (int64_t i = 0; i < E; i++) {
    vec shift = bias ? load(bias + d0 + i * V, of->D - d0 - i * V) : (vec){};
    for (int64_t k = 0; k < T; k++) {
      own->x[i][k] = softplusv(own->x[i][k] + shift, &own->slope[i][k]);
      if (of->z) own->gate[i][k] = sigmoidv(own->z[i][k]);
    }
  }
}

// What the next pass reads and writes of a row: rows lie too far apart for the hardware's own prefetching.
INLINE void fetch(const tensors *of, int64_t row, int64_t d) {
  for (int64_t i = d; i < d + PASS * V && i < of->D; i += LINE) {
    __builtin_prefetch(of->u + row * of->su + i);
    __builtin_prefetch(of->dt + row * of->sdt + i);
    __builtin_prefetch(of->gy + row * of->D + i);
    __builtin_prefetch(of->du + row * of->D + i, 1);
    __builtin_prefetch(of->ddt + row * of->D + i, 1);
    if (of->z) {
      __builtin_prefetch(of->z + row * of->sz + i);
      __builtin_prefetch(of->dz + row * of->sdz + i, 1);
    }
  }
}

// The states, decays and outputs of vector i of a pass, from the state in states[0].
INLINE void replay(const tensors *of, chunk *own, vec *states, vec *decays, const vec *zeros, const vec *a,
                   int64_t row, int64_t i, int64_t T, int64_t next) {
  int64_t N = of->N;
  for (int64_t k = 0; k < T; k++) {
    if (!i) fetch(of, row + k, next);
    const float *bt = of->B + (row + k) * of->sB, *ct = of->C + (row + k) * of->sC;
    vec x = own->x[i][k], rate = rate_of(x), xu = x * own->u[i][k], acc = own->skip[i] * own->u[i][k];
    const vec *before = of->starts && of->starts[row + k] ? zeros : states + k * N;
    vec *after = states + (k + 1) * N, *decay = decays + k * N;
    for (int64_t n = 0; n < N; n++) {
      decay[n] = exp2_of_product(rate, a[n]);
      after[n] = decay[n] * before[n] + xu * bt[n];
      acc = acc + after[n] * ct[n];
    }
    own->y[i][k] = acc;
  }
}

// Walks vectors i to i + side of a pass back; at points at what belongs to the first of them.
INLINE void walk_back(const tensors *of, chunk *own, memory at, int side, int64_t row, int64_t first, int64_t T) {
  int64_t N = of->N;
  vec sumbias[SIDE] = {}, sumD[SIDE] = {};  // of the chunk first: sums of sums round less
  for (int64_t k = T - 1; k >= 0; k--) {
    const float *bt = of->B + (row + k) * of->sB, *ct = of->C + (row + k) * of->sC;
    int fresh = of->starts && of->starts[row + k];
    vec g[SIDE], x[SIDE], xu[SIDE], sumB[SIDE] = {}, sumA[SIDE] = {};
    const vec *before[SIDE], *after[SIDE], *decay[SIDE];
    for (int i = 0; i < side; i++) {
      g[i] = own->g[first + i][k], x[i] = own->x[first + i][k], xu[i] = x[i] * own->u[first + i][k];
      if (of->z) {
        vec zz = own->z[first + i][k], q = own->gate[first + i][k];
        own->z[first + i][k] = g[i] * own->y[first + i][k] * q * (1.f + zz * (1.f - q));
        g[i] = g[i] * zz * q;
      }
      after[i] = at.states + (i * (K + 1) + k + 1) * N, before[i] = fresh ? at.zeros : after[i] - N;
      decay[i] = at.decays + (i * K + k) * N;
    }
    vec *pB = at.accB + k * N, *pC = at.accC + k * N;
    for (int64_t n = 0; n < N; n++) {
      vec sb = pB[n], sc = pC[n];
      for (int i = 0; i < side; i++) {
        vec q = at.carry[i * N + n] + g[i] * ct[n], qa = q * decay[i][n], w = qa * before[i][n] * x[i];
        sc = sc + g[i] * after[i][n];
        sb = sb + q * xu[i];
        sumB[i] = sumB[i] + q * bt[n];
        sumA[i] = sumA[i] + w * at.a[i * N + n];  // of the time step's logarithm: A alone may be too large for a sum
        at.dA[i * N + n] = at.dA[i * N + n] + w;
        at.carry[i * N + n] = qa;
      }
      pB[n] = sb, pC[n] = sc;
    }
    for (int i = 0; i < side; i++) {
      if (fresh) memset(at.carry + i * N, 0, N * sizeof(vec));
      vec uu = own->u[first + i][k], slope = own->slope[first + i][k];
      vec gd = sumB[i] * uu * slope + sumA[i] * (slope / at_least(x[i], SMALLEST));
      sumbias[i] = sumbias[i] + gd;
      sumD[i] = sumD[i] + g[i] * uu;
      own->x[first + i][k] = gd;
      own->u[first + i][k] = sumB[i] * x[i] + g[i] * own->skip[first + i];
    }
  }
  for (int i = 0; i < side; i++) at.dbias[i] = at.dbias[i] + sumbias[i], at.dD[i] = at.dD[i] + sumD[i];
}

INLINE void write_chunk(const tensors *of, const chunk *own, int64_t row, int64_t d0, int64_t E, int64_t T) {
  for (int64_t k = 0; k < T; k++)
    for (int64_t i = 0; i < E; i++) {
      int64_t d = d0 + i * V, left = of->D - d;
      store(of->du + (row + k) * of->D + d, own->u[i][k], left);
      store(of->ddt + (row + k) * of->D + d, own->x[i][k], left);
      if (of->z) store(of->dz + (row + k) * of->sdz + d, own->z[i][k], left);
    }
}

// Vectors [j0, j1) of the channels, PASS at a time, of the chunk whose first token is row. kept: the states before it.
INLINE void chunk_backward(const tensors *of, const memory *task, const float *kept, const float *Dv,
                           const float *bias, int64_t row, int64_t T, int64_t j0, int64_t j1) {
  int64_t N = of->N;
  for (int64_t e0 = j0; e0 < j1; e0 += PASS) {
    int64_t E = j1 - e0 < PASS ? j1 - e0 : PASS, next = e0 + PASS < j1 ? (e0 + PASS) * V : of->D;
    chunk own;
    read_chunk(of, &own, bias, row, e0 * V, E, T);
    for (int64_t i = 0; i < E; i++) {
      int64_t d = (e0 + i) * V;
      vec *states = task->states + i * (K + 1) * N;
      own.skip[i] = Dv ? load(Dv + d, of->D - d) : (vec){};
      memcpy(states, kept + (e0 + i) * N * V, N * sizeof(vec));
      replay(of, &own, states, task->decays + i * K * N, task->zeros, task->a + (e0 - j0 + i) * N, row, i, T, next);
    }
    for (int64_t i = 0; i < E; i += SIDE) {
      int64_t j = e0 - j0 + i;
      memory at = {task->accB, task->accC, task->states + i * (K + 1) * N, task->decays + i * K * N, task->zeros,
                   task->a + j * N, task->dA + j * N, task->carry + j * N, task->dD + j, task->dbias + j};
      if (E - i < SIDE)
        walk_back(of, &own, at, 1, row, i, T);
      else
        walk_back(of, &own, at, SIDE, row, i, T);
    }
    write_chunk(of, &own, row, e0 * V, E, T);
  }
}

// The memory of a task with `own` vectors of channels, from one allocation; its accB is the allocation's address.
static int allocate(memory *task, int64_t N, int64_t own) {
  int64_t kn = K * N;
  size_t count = 2 * kn + PASS * (2 * kn + N) + N + own * (3 * N + 2);
  vec *at = aligned_alloc(64, (count * sizeof(vec) + 63) / 64 * 64);
  if (!at) return 0;
  task->accB = at, task->accC = at + kn, task->states = task->accC + kn;
  task->decays = task->states + PASS * (kn + N), task->zeros = task->decays + PASS * kn, task->a = task->zeros + N;
  task->dA = task->a + own * N, task->carry = task->dA + own * N, task->dD = task->carry + own * N;
  task->dbias = task->dD + own;
  memset(task->zeros, 0, N * sizeof(vec));
  memset(task->dA, 0, own * N * sizeof(vec));
  memset(task->dD, 0, 2 * own * sizeof(vec));
  return 1;
}

// gy, du, ddt: (b, L, D) dense; dz: sdz between tokens. dlast: the last state's gradient or NULL. dinitial, dA: (b, D,
// N), the former may be NULL. dD and dbias: (b, D). dB, dC: (b, S, L, ..) with sdB between tokens, for S splits of the
// channels. Everything is written, nothing added. Returns 0, or 1 where there was no memory.
int cobra_scan_backward(const float *u, const float *dt, const float *A, const float *B, const float *C,
                        const float *Dv, const float *z, const float *bias, const uint8_t *starts, const float *kept,
                        const float *gy, const float *dlast, float *du, float *ddt, float *dA, float *dB, float *dC,
                        float *dD, float *dz, float *dbias, float *dinitial, int64_t nb, int64_t L, int64_t D,
                        int64_t N, int64_t su, int64_t sdt, int64_t sB, int64_t sC, int64_t sz, int64_t sdB,
                        int64_t sdz, int64_t S, int threads) {
  int64_t nd = (D + V - 1) / V, nc = (L + K - 1) / K, per = (nd + S - 1) / S;
  const tensors of = {u, dt, B, C, z, gy, du, ddt, dz, starts, D, N, su, sdt, sB, sC, sz, sdz};
  int failed = 0;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads) reduction(| : failed)
  for (int64_t b = 0; b < nb; b++)
    for (int64_t s = 0; s < S; s++) {
      int64_t j0 = s * per < nd ? s * per : nd, j1 = j0 + per < nd ? j0 + per : nd, own = j1 - j0;
      memory task;
      if (!allocate(&task, N, own)) {
        failed |= 1;
        continue;
      }
      for (int64_t i = 0; i < own; i++) {
        block_A(task.a + i * N, A, (j0 + i) * V, D, N);
        if (dlast)
          block(task.carry + i * N, dlast + b * D * N, (j0 + i) * V, D, N);
        else
          memset(task.carry + i * N, 0, N * sizeof(vec));
      }
      for (int64_t c = nc - 1; c >= 0; c--) {
        int64_t t0 = c * K, T = L - t0 < K ? L - t0 : K;
        memset(task.accB, 0, 2 * K * N * sizeof(vec));
        chunk_backward(&of, &task, kept + (b * nc + c) * nd * N * V, Dv, bias, b * L + t0, T, j0, j1);
        for (int64_t k = 0; k < T; k++)
          for (int64_t n = 0; n < N; n++) {
            int64_t o = ((b * S + s) * L + t0 + k) * sdB + n;
            dB[o] = sum_lanes(task.accB[k * N + n]);
            dC[o] = sum_lanes(task.accC[k * N + n]);
          }
      }
      for (int64_t i = 0; i < own; i++) {
        int64_t d = (j0 + i) * V;
        unblock(dA + b * D * N, task.dA + i * N, d, D, N);
        if (dinitial) unblock(dinitial + b * D * N, task.carry + i * N, d, D, N);
        if (dD) store(dD + b * D + d, task.dD[i], D - d);
        if (dbias) store(dbias + b * D + d, task.dbias[i], D - d);
      }
      free(task.accB);
    }
  return failed;
}
