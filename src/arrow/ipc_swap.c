#include "arrow/ipc_swap.h"

#include <string.h>

#include "arrow/layout.h"

static void swap2(uint8_t *to, const uint8_t *from) {
  uint16_t value;
  memcpy(&value, from, sizeof value);
  value = __builtin_bswap16(value);
  memcpy(to, &value, sizeof value);
}

static void swap4(uint8_t *to, const uint8_t *from) {
  uint32_t value;
  memcpy(&value, from, sizeof value);
  value = __builtin_bswap32(value);
  memcpy(to, &value, sizeof value);
}

static void swap8(uint8_t *to, const uint8_t *from) {
  uint64_t value;
  memcpy(&value, from, sizeof value);
  value = __builtin_bswap64(value);
  memcpy(to, &value, sizeof value);
}

static void swap16(uint8_t *to, const uint8_t *from) {
  uint64_t words[2];
  memcpy(words, from, sizeof words);
  uint64_t turned[2] = {__builtin_bswap64(words[1]), __builtin_bswap64(words[0])};
  memcpy(to, turned, sizeof turned);
}

static void swap32(uint8_t *to, const uint8_t *from) {
  uint64_t words[4];
  memcpy(words, from, sizeof words);
  uint64_t turned[4] = {__builtin_bswap64(words[3]), __builtin_bswap64(words[2]),
                        __builtin_bswap64(words[1]), __builtin_bswap64(words[0])};
  memcpy(to, turned, sizeof turned);
}

/* The length first, which then says what the rest is. */
static void swap_view(uint8_t *to, const uint8_t *from) {
  int32_t bytes;
  memmove(to, from, VIEW_BYTES);
  swap4(to, to);
  memcpy(&bytes, to, sizeof bytes);
  if (bytes <= VIEW_INLINE_BYTES) return;
  swap4(to + 8, to + 8);
  swap4(to + 12, to + 12);
}

static void swap_month_day_nano(uint8_t *to, const uint8_t *from) {
  swap4(to, from);
  swap4(to + 4, from + 4);
  swap8(to + 8, from + 8);
}

void ipc_swap(uint8_t *to, const uint8_t *from, int64_t bytes, enum ipc_order order) {
  int64_t width = order < IPC_ORDER_VIEWS ? (int64_t)order : 16;
  int64_t whole_bytes = bytes / width * width;
  for (int64_t i = 0; i < whole_bytes; i += width) {
    switch (order) {
    case IPC_ORDER_NONE: to[i] = from[i]; break;
    case IPC_ORDER_2: swap2(to + i, from + i); break;
    case IPC_ORDER_4: swap4(to + i, from + i); break;
    case IPC_ORDER_8: swap8(to + i, from + i); break;
    case IPC_ORDER_16: swap16(to + i, from + i); break;
    case IPC_ORDER_32: swap32(to + i, from + i); break;
    case IPC_ORDER_VIEWS: swap_view(to + i, from + i); break;
    case IPC_ORDER_MONTH_DAY_NANO: swap_month_day_nano(to + i, from + i); break;
    }
  }
  if (bytes > whole_bytes)
    memmove(to + whole_bytes, from + whole_bytes, (size_t)(bytes - whole_bytes));
}
