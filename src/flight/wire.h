/* The encoding of protobuf (Protocol Buffers, "Encoding"), as far as it is read and written by hand.
 * Inside the room only. */
#ifndef ARROWPORT_FLIGHT_WIRE_H
#define ARROWPORT_FLIGHT_WIRE_H

#include <stdint.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { WIRE_VARINT_BYTES_MAX = 10 };

/* Fields of FlightData (Flight.proto). */
enum flight_data_field {
  FLIGHT_DATA_DESCRIPTOR = 1,
  FLIGHT_DATA_HEADER = 2,
  FLIGHT_DATA_APP_METADATA = 3,
  FLIGHT_DATA_BODY = 1000,
};

static inline int wire_varint_bytes(uint64_t value) {
  int bytes = 1;
  for (; value >= 0x80; value >>= 7) bytes++;
  return bytes;
}

static inline uint8_t *wire_put_varint(uint8_t *to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = (uint8_t)(value | 0x80);
  *to++ = (uint8_t)value;
  return to;
}

/* Tag and length of a field of bytes; those follow. */
static inline int64_t wire_head_bytes(int field, int64_t bytes) {
  return wire_varint_bytes((uint64_t)field << 3) + wire_varint_bytes((uint64_t)bytes);
}

static inline uint8_t *wire_put_head(uint8_t *to, int field, int64_t bytes) {
  to = wire_put_varint(to, (uint64_t)field << 3 | WIRE_BYTES);
  return wire_put_varint(to, (uint64_t)bytes);
}

static inline int64_t wire_field_bytes(int field, int64_t bytes) {
  return wire_head_bytes(field, bytes) + bytes;
}

static inline uint8_t *wire_put_field(uint8_t *to, int field, const void *data, int64_t bytes) {
  to = wire_put_head(to, field, bytes);
  if (bytes > 0) memcpy(to, data, (size_t)bytes);
  return to + bytes;
}

#endif
