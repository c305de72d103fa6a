// How the threads of OpenMP wait for each other.
// GNU's OpenMP, which torch brings, lets a thread spin for some 20 ms at every barrier and after every parallel region.
// Beside other work on the same cores that is fatal: the thread that is waited for does not run because others spin.
// Whoever starts the process may set GOMP_SPINCOUNT or OMP_WAIT_POLICY, but only before torch is loaded. It spins a
// three hundredth of that once it manages more threads than there are cores (libgomp's config/linux/wait.h), which is
// what we let it do: a thread of our own has a team that did nothing once and then sleeps.
#include "kernels.h"
#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#include <unistd.h>

static void *hold_team(void *count) {
#pragma omp parallel num_threads((int)(intptr_t)count)
  { __asm__ volatile(""); }
  for (;;) pause();
  return NULL;
}
#endif

// For a process that computes with so many threads. Returns whether waiting was made short.
int cobra_wait_briefly(int threads) {
#ifdef _OPENMP
  int64_t count = omp_get_num_procs() - threads + 2;  // with the others one more than there are cores
  pthread_t holder;
  pthread_attr_t attributes;
  if (threads < 2 || count > 64 || pthread_attr_init(&attributes)) return 0;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int failed = pthread_create(&holder, &attributes, hold_team, (void *)(intptr_t)(count < 2 ? 2 : count));
  pthread_attr_destroy(&attributes);
  return !failed;
#else
  return 0;
#endif
}
