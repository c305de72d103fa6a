// Vectors of floats in GNU C, and the functions the kernels need of them. Plain C, no torch headers.
#ifndef COBRA_VECTOR_H
#define COBRA_VECTOR_H
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define V 16  // floats of a vector
#else
#define V 8
#endif

typedef float vec __attribute__((vector_size(4 * V)));
typedef int32_t veci __attribute__((vector_size(4 * V)));
typedef float vecu __attribute__((vector_size(4 * V), aligned(4), may_alias));

// Inlined whatever the size: a function that is not reads every address and size again in its loops.
#define INLINE static inline __attribute__((always_inline))

#define LD(p) (*(const vecu *)(p))
#define ST(p, x) (*(vecu *)(p) = (x))
#define LOG2E 1.44269504088896341f
#define MIN_PARALLEL 4096  // numbers, below which a second thread costs more than it brings

static inline vec splat(float x) { return x - (vec){}; }
static inline vec choose(veci mask, vec a, vec b) { return (vec)((mask & (veci)a) | (~mask & (veci)b)); }

// `left` numbers are there: the last vector of a row may be short. What is missing reads as 0.
static inline vec load(const float *p, int64_t left) {
  if (__builtin_expect(left >= V, 1)) return LD(p);
  float x[V] = {0};
  memcpy(x, p, left * sizeof(float));
  return LD(x);
}

static inline void store(float *p, vec x, int64_t left) {
  if (__builtin_expect(left >= V, 1))
    ST(p, x);
  else
    memcpy(p, &x, left * sizeof(float));
}

// The larger of x and low, the smaller of x and high; NaN stays NaN, so that a bad value cannot hide.
#if defined(__AVX512F__)
#include <immintrin.h>
static inline vec at_least(vec x, float low) { return (vec)_mm512_max_ps((__m512)splat(low), (__m512)x); }
static inline vec at_most(vec x, float high) { return (vec)_mm512_min_ps((__m512)splat(high), (__m512)x); }
#elif defined(__AVX__)
#include <immintrin.h>
static inline vec at_least(vec x, float low) { return (vec)_mm256_max_ps((__m256)splat(low), (__m256)x); }
static inline vec at_most(vec x, float high) { return (vec)_mm256_min_ps((__m256)splat(high), (__m256)x); }
#else
static inline vec at_least(vec x, float low) { return choose(x < low, splat(low), x); }
static inline vec at_most(vec x, float high) { return choose(x > high, splat(high), x); }
#endif

#define ROUND 12582912.f  // 1.5 * 2^23: adding it rounds to an integer
#define BIAS 127          // of a float's exponent
#define LARGEST 3.40282347e38f
#define SMALLEST 1.4e-45f

// 2^f for |f| <= 0.5. Exactly 1 at 0: an error there would grow by 1 / (1 - decay).
static inline vec fraction(vec f) {
  vec p = splat(1.5353362e-4f);
  p = p * f + 1.3398874e-3f;
  p = p * f + 9.6184373e-3f;
  p = p * f + 5.5503324e-2f;
  p = p * f + 2.4022648e-1f;
  p = p * f + 6.9314720e-1f;
  return p * f + 1.0f;
}

// p * 2^n, for the integer n that `rounded` holds beside ROUND and BIAS. The power is made of the bits of its exponent,
// 2^LIFT too high and then multiplied down, so that results may be floats of less than 24 bits, and 0. n is at least
// -BIAS - LIFT and at most BIAS - LIFT. A product and not a sum of bits: NaN stays NaN.
#define LIFT 24
static inline vec scale(vec p, vec rounded, float down) { return p * (vec)((veci)rounded << 23) * down; }

// 2^(x y) for products of at most 100: a decay. 0 where the product is below floats, minus infinity too.
static inline vec exp2_of_product(vec x, vec y) {
#ifdef __AVX512F__
  // Far below the range of floats the rounding is wrong, and so is f: there the mask says 0.
  vec rounded = x * y + ROUND, f = x * y - (rounded - ROUND);
  __mmask16 in_range = _mm512_cmp_ps_mask((__m512)rounded, (__m512)splat(ROUND - 200.f), _CMP_NLT_UQ);
  return (vec)_mm512_maskz_scalef_ps(in_range, (__m512)fraction(f), (__m512)(rounded - ROUND));
#else
  const float round = ROUND + BIAS + LIFT;
  vec product = at_least(x * y, -BIAS - LIFT), rounded = product + round;
  return scale(fraction(product - (rounded - round)), rounded, 1.f / (1 << LIFT));
#endif
}

// e^x for x of at most 0.
static inline vec exp_negative(vec x) { return exp2_of_product(at_least(x, -105.f), splat(LOG2E)); }

// e^x: infinity above floats; 0 below 1.2e-38, where nobody asks it to be more exact.
static inline vec expv(vec x) {
  x = at_most(at_least(x, -87.3f), 89.f);
#ifdef __AVX512F__
  vec rounded = x * LOG2E + ROUND, f = x * LOG2E - (rounded - ROUND);
  return (vec)_mm512_scalef_ps((__m512)fraction(f), (__m512)(rounded - ROUND));
#else
  const float round = ROUND + BIAS - 1;
  vec rounded = x * LOG2E + round;
  return scale(fraction(x * LOG2E - (rounded - round)), rounded, 2.f);
#endif
}

static inline vec sigmoidv(vec x) { return 1.f / (1.f + expv(-x)); }

// softplus(x) = max(x, 0) + log1p(exp(-|x|)), log1p(e) as 2 atanh(e / (2 + e)): the plain form loses small time
// steps. *slope: its derivative, the sigmoid of x.
static inline vec softplusv(vec x, vec *slope) {
  veci negative = x < 0.f;
  vec e = exp_negative(choose(negative, x, -x)), s = e / (2.f + e), q = s * s;
  if (slope) {
    vec r = 1.f / (1.f + e);
    *slope = choose(negative, e * r, r);
  }
  vec p = splat(1.f / 17);
  p = p * q + 1.f / 15;
  p = p * q + 1.f / 13;
  p = p * q + 1.f / 11;
  p = p * q + 1.f / 9;
  p = p * q + 1.f / 7;
  p = p * q + 1.f / 5;
  p = p * q + 1.f / 3;
  p = p * q + 1.f;
  return choose(negative, (vec){}, x) + 2.f * s * p;
}

// What a time step multiplies A by, so that 2 to the power of it is the decay. LOG2E goes with the step because A may
// be as large as floats are.
static inline vec rate_of(vec step) { return at_most(step * LOG2E, LARGEST); }

// A as the kernels take it: minus infinity becomes the lowest float, so that a time step of 0 keeps the state.
static inline vec finite_rate(vec A) { return at_least(A, -LARGEST); }

static inline float sum_lanes(vec x) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps((__m512)x);
#else
  float a[V];
  ST(a, x);
  for (int width = V / 2; width; width /= 2)
    for (int i = 0; i < width; i++) a[i] += a[i + width];
  return a[0];
#endif
}
#endif
