// A clock for Envoy that tests can set while it runs, and time that goes by faster or slower; preloaded (LD_PRELOAD).
//
//   COUNTERSIGN_CLOCK  a file of 8 bytes: the seconds to add to the time of day, signed, in the machine's order
//   COUNTERSIGN_SPEED  that many seconds go by in one: for all clocks, and for how long Envoy's loops sleep
//   COUNTERSIGN_SLOWNESS  one second goes by in that many
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const int64_t zero;
static const volatile int64_t *offset = &zero;
static int64_t speed = 1, slowness = 1;
static int64_t begun[2];

static int64_t machine(clockid_t clock) {
  struct timespec now = {0, 0};
  syscall(SYS_clock_gettime, clock, &now);
  return now.tv_sec * SECOND + now.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
  begun[0] = machine(CLOCK_REALTIME);
  begun[1] = machine(CLOCK_MONOTONIC);
  const char *file = getenv("COUNTERSIGN_CLOCK"), *factor = getenv("COUNTERSIGN_SPEED");
  if (factor && atoll(factor) > 0) speed = atoll(factor);
  factor = getenv("COUNTERSIGN_SLOWNESS");
  if (factor && atoll(factor) > 0) slowness = atoll(factor);
  int opened = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
  if (opened < 0) return;
  void *mapped = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, opened, 0);
  close(opened);
  if (mapped != MAP_FAILED) offset = mapped;
}

static int64_t faster(int which) {
  int64_t now = machine(which ? CLOCK_MONOTONIC : CLOCK_REALTIME);
  return begun[which] + (now - begun[which]) * speed / slowness + (which ? 0 : *offset * SECOND);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int which = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_MONOTONIC_RAW ||
              clock == CLOCK_BOOTTIME;
  if (!which && clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
    return (int)syscall(SYS_clock_gettime, clock, now);
  int64_t found = faster(which);
  now->tv_sec = found / SECOND;
  now->tv_nsec = found % SECOND;
  return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
  (void)zone;
  int64_t found = faster(0);
  now->tv_sec = found / SECOND;
  now->tv_usec = found % SECOND / 1000;
  return 0;
}

time_t time(time_t *now) {
  time_t found = faster(0) / SECOND;
  if (now) *now = found;
  return found;
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *signals) {
  struct timespec wait, *limit = NULL;
  if (timeout >= 0) {
    int64_t left = timeout * (SECOND / 1000) * slowness / speed;
    wait.tv_sec = left / SECOND;
    wait.tv_nsec = left % SECOND;
    limit = &wait;
  }
  return (int)syscall(SYS_epoll_pwait2, epoll, events, most, limit, signals, _NSIG / 8);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  return epoll_pwait(epoll, events, most, timeout, NULL);
}
