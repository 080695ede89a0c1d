#include "base/text.h"
#include "base/vector.h"

#include <string.h>

static const uint64_t high_bits = UINT64_C(0x8080808080808080);

/* Many bytes at a time while they are ASCII: most text is. */
static size_t ascii_bytes(const uint8_t *data, size_t bytes) {
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    uint64_t words[4];
    memcpy(words, data + i, sizeof words);
    if (((words[0] | words[1] | words[2] | words[3]) & high_bits) != 0) break;
  }
  for (; i + 8 <= bytes; i += 8) {
    uint64_t word;
    memcpy(&word, data + i, sizeof word);
    if ((word & high_bits) != 0) break;
  }
  while (i < bytes && data[i] < 0x80) i++;
  return i;
}

/* Length of the valid multi-byte sequence at `data` (Unicode, table 3-7); 0 if none. */
static size_t sequence_bytes(const uint8_t *data, size_t bytes) {
  uint8_t first = data[0];
  size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || length > bytes) return 0;
  uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (data[1] < least || data[1] > most) return 0;
  for (size_t i = 2; i < length; i++)
    if ((data[i] & 0xC0) != 0x80) return 0;
  return length;
}

size_t utf8_valid_bytes(const uint8_t *data, size_t bytes) {
  size_t at = 0;
  while (at < bytes) {
    at += ascii_bytes(data + at, bytes - at);
    if (at == bytes) break;
    size_t length = sequence_bytes(data + at, bytes - at);
    if (length == 0) break;
    at += length;
  }
  return at;
}

VECTOR_LOOP static bool is_ascii(const uint8_t *data, size_t bytes) {
  uint64_t seen = 0;
  size_t i = 0;
  for (; i + 64 <= bytes; i += 64) {
    uint64_t words[8];
    memcpy(words, data + i, sizeof words);
    for (int k = 0; k < 8; k++) seen |= words[k];
    if ((seen & high_bits) != 0) return false;
  }
  for (; i < bytes; i++) seen |= data[i];
  return (seen & high_bits) == 0;
}

bool utf8_is_ascii(const uint8_t *data, size_t bytes) { return is_ascii(data, bytes); }

size_t utf8_code_point(const uint8_t *data, size_t bytes, uint32_t *code) {
  static const uint8_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  size_t length = data[0] < 0x80 ? 1 : sequence_bytes(data, bytes);
  if (length == 0) return 0;
  *code = data[0] & masks[length];
  for (size_t i = 1; i < length; i++) *code = *code << 6 | (data[i] & 0x3F);
  return length;
}
