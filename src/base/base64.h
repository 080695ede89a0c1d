/* Base64 (RFC 4648 section 4: the alphabet with + and /, padded), encoded in one go, and decoded as it
 * comes: bytes in, bytes out, cut anywhere. Decoding is strict: whole groups of four, padding where it
 * is needed and nowhere else, no bits set that stand for nothing, no white space: whoever allows it
 * passes over it. */
#ifndef ARROWPORT_BASE_BASE64_H
#define ARROWPORT_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base64_decoder {
  uint32_t bits;      /* of the group that is not whole yet */
  uint8_t characters; /* that it has, padding counted */
  uint8_t padding;    /* how many of them are '=' */
  bool over;          /* a padded group has come: nothing may follow */
  uint8_t waiting[3]; /* decoded, and there was no room */
  uint8_t waiting_bytes;
};

#define BASE64_START ((struct base64_decoder){.bits = 0}) /* at the begin of a text */

enum base64_stop {
  BASE64_INPUT,  /* all of the text was used */
  BASE64_ROOM,   /* no room is left for what is decoded */
  BASE64_FOREIGN /* `*text` points to a byte that cannot stand there */
};

/* Decodes from `*text` on, to `*out` on; both are moved on. */
enum base64_stop base64_decode(struct base64_decoder *decoder, const uint8_t **text,
                               const uint8_t *text_end, uint8_t **out, const uint8_t *out_end);

/* True when the text may end here: every group is whole and nothing waits for room. */
bool base64_whole(const struct base64_decoder *decoder);

/* The other way: characters that `bytes` bytes take, padding counted, and the writing of them to
 * `text`, which is not terminated. */
static inline size_t base64_text_bytes(size_t bytes) { return (bytes + 2) / 3 * 4; }
void base64_encode(const uint8_t *data, size_t bytes, char *text);

#endif
