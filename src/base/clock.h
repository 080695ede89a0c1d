/* Time: a clock that only goes forward for intervals, the wall clock for people. */
#ifndef ARROWPORT_BASE_CLOCK_H
#define ARROWPORT_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_now_us(void); /* monotonic */
int64_t clock_now_ms(void); /* monotonic */

/* The wall clock, in microseconds since 1970 UTC: it may jump, either way. */
int64_t clock_wall_us(void);

/* Blocks the thread: for workers, never for the event loop. */
void clock_sleep_ms(int ms);

enum { CLOCK_TEXT_BYTES = 32 };
/* "2026-03-01T12:00:00.123Z", the wall clock now. */
void clock_text(char text[CLOCK_TEXT_BYTES]);

#endif
