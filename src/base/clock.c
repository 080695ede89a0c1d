#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_ms(void) { return clock_now_us() / 1000; }

void clock_sleep_ms(int ms) {
  struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
}

void clock_text(char text[CLOCK_TEXT_BYTES]) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct tm parts;
  gmtime_r(&now.tv_sec, &parts);
  size_t used = strftime(text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + used, CLOCK_TEXT_BYTES - used, ".%03dZ", (int)(now.tv_nsec / 1000000));
}
