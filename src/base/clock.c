#include "base/clock.h"

#include <string.h>
#include <time.h>

int64_t clock_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_ms(void) { return clock_now_us() / 1000; }

int64_t clock_wall_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_sleep_ms(int ms) {
  struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
}

void clock_text(char text[CLOCK_TEXT_BYTES]) {
  enum { SECONDS_BYTES = 19 };
  static _Thread_local time_t second = -1; /* what `shown` says: many lines are of one second */
  static _Thread_local char shown[SECONDS_BYTES + 1];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != second) {
    struct tm parts;
    gmtime_r(&now.tv_sec, &parts);
    strftime(shown, sizeof shown, "%Y-%m-%dT%H:%M:%S", &parts);
    second = now.tv_sec;
  }
  int ms = (int)(now.tv_nsec / 1000000);
  const char end[] = {
      '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '\0'};
  memcpy(text, shown, SECONDS_BYTES);
  memcpy(text + SECONDS_BYTES, end, sizeof end);
}
