/* Big-endian bodies, turned round (Schema.fbs, "Endianness"). Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_SWAP_H
#define ARROWPORT_ARROW_IPC_SWAP_H

#include <stdint.h>

/* What a buffer consists of: numbers of so many bytes, or structs whose members are turned
 * round one by one. */
enum ipc_order {
  IPC_ORDER_NONE = 1, /* bytes, bits: the same in both orders */
  IPC_ORDER_2 = 2,
  IPC_ORDER_4 = 4,
  IPC_ORDER_8 = 8,
  IPC_ORDER_16 = 16,
  IPC_ORDER_32 = 32,
  IPC_ORDER_VIEWS = 100,         /* of text and binary: their own bytes stay */
  IPC_ORDER_MONTH_DAY_NANO = 101 /* 4, 4 and 8 bytes */
};

/* Writes the bytes in the other order to `to`, which may be `from`. What is left over behind
 * the last whole element is copied as it is. Neither side need be aligned. */
void ipc_swap(uint8_t *to, const uint8_t *from, int64_t bytes, enum ipc_order order);

#endif
