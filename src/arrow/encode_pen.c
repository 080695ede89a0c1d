/* Bytes that are not UTF-8 are written as U+FFFD, one for each byte: what is written
 * is text for every reader. */
#include "arrow/encode_pen.h"

#include <assert.h>
#include <stdbool.h>

#include "base/text.h"

enum { ROOM_BYTES_MIN = 4096 };

void pen_open(struct pen *pen, struct buffer *out, struct budget *budget) {
  *pen = (struct pen){.out = out, .budget = budget};
  if (out->data == NULL) return;
  pen->at = (char *)out->data + out->size_bytes;
  pen->end = (char *)out->data + out->capacity_bytes;
}

void pen_close(struct pen *pen) {
  if (pen->at != NULL) pen->out->size_bytes = (uint8_t *)pen->at - pen->out->data;
}

enum status pen_grow(struct pen *pen, int64_t bytes, struct error *error) {
  pen_close(pen);
  struct buffer *out = pen->out;
  if (bytes > INT64_MAX / 2 - out->size_bytes)
    return error_set(error, STATUS_BUDGET, "a text of %lld bytes is more than any memory holds",
                     (long long)bytes);
  int64_t needed_bytes = out->size_bytes + bytes;
  int64_t wanted_bytes = 2 * out->capacity_bytes;
  if (wanted_bytes < ROOM_BYTES_MIN) wanted_bytes = ROOM_BYTES_MIN;
  enum status status = STATUS_BUDGET;
  if (wanted_bytes > needed_bytes) status = buffer_reserve(out, pen->budget, wanted_bytes, NULL);
  if (status != STATUS_OK) status = buffer_reserve(out, pen->budget, needed_bytes, error);
  pen_open(pen, out, pen->budget);
  return status;
}

enum status pen_bytes(struct pen *pen, const char *bytes, int64_t count, struct error *error) {
  enum status status = pen_room(pen, count, error);
  if (status == STATUS_OK) pen_put_bytes(pen, bytes, count);
  return status;
}

/* ---- runs -------------------------------------------------------------------------- */

/* 0x80 in (at least the first of) the bytes of `word` that are below `bound`, which
 * has the same byte eight times; only for bytes below 0x80. */
static uint64_t bytes_below(uint64_t word, uint64_t bound) {
  return (word - bound) & ~word & UINT64_C(0x8080808080808080);
}

static uint64_t bytes_equal(uint64_t word, uint64_t byte) {
  return bytes_below(word ^ byte, UINT64_C(0x0101010101010101));
}

static bool json_needs_escape(uint8_t byte) { return byte < 0x20 || byte == '"' || byte == '\\'; }

/* How many bytes at the start stand for themselves in a JSON string. */
static int64_t json_plain_bytes(const char *data, int64_t bytes) {
  int64_t i = 0;
  for (; bytes - i >= 8; i += 8) {
    uint64_t word;
    memcpy(&word, data + i, 8);
    if ((bytes_below(word, UINT64_C(0x2020202020202020)) |
         bytes_equal(word, UINT64_C(0x2222222222222222)) |
         bytes_equal(word, UINT64_C(0x5C5C5C5C5C5C5C5C))) != 0)
      break;
  }
  while (i < bytes && !json_needs_escape((uint8_t)data[i])) i++;
  return i;
}

static bool csv_needs_quotes(const char *data, int64_t bytes) {
  if (bytes == 0) return true;
  for (int64_t i = 0; i < bytes; i++)
    if (data[i] == '"' || data[i] == ',' || data[i] == '\n' || data[i] == '\r') return true;
  return false;
}

/* ---- strings ----------------------------------------------------------------------- */

enum { ESCAPE_BYTES_MAX = 6 };

static void put_json_escape(struct pen *pen, uint8_t byte) {
  static const char hex[] = "0123456789abcdef";
  pen_put(pen, '\\');
  switch (byte) {
  case '\n': pen_put(pen, 'n'); return;
  case '\r': pen_put(pen, 'r'); return;
  case '\t': pen_put(pen, 't'); return;
  case '"':
  case '\\': pen_put(pen, (char)byte); return;
  default:
    pen_put_bytes(pen, "u00", 3);
    pen_put(pen, hex[byte >> 4]);
    pen_put(pen, hex[byte & 15]);
  }
}

/* Writes valid text; quotes are around it already. */
typedef enum status (*write_valid)(struct pen *pen, const char *data, int64_t bytes,
                                   struct error *error);

static enum status json_valid(struct pen *pen, const char *data, int64_t bytes,
                              struct error *error) {
  enum status status = STATUS_OK;
  while (bytes > 0 && status == STATUS_OK) {
    int64_t plain = json_plain_bytes(data, bytes);
    status = pen_room(pen, plain + ESCAPE_BYTES_MAX, error);
    if (status != STATUS_OK) break;
    pen_put_bytes(pen, data, plain);
    if (plain == bytes) break;
    put_json_escape(pen, (uint8_t)data[plain]);
    data += plain + 1;
    bytes -= plain + 1;
  }
  return status;
}

/* Quotes inside quotes are doubled. */
static enum status csv_valid(struct pen *pen, const char *data, int64_t bytes,
                             struct error *error) {
  enum status status = STATUS_OK;
  while (bytes > 0 && status == STATUS_OK) {
    const char *quote = memchr(data, '"', (size_t)bytes);
    int64_t plain = quote == NULL ? bytes : quote - data + 1;
    status = pen_room(pen, plain + 1, error);
    if (status != STATUS_OK) break;
    pen_put_bytes(pen, data, plain);
    if (quote != NULL) pen_put(pen, '"');
    data += plain;
    bytes -= plain;
  }
  return status;
}

/* `data` by `write`, what is not UTF-8 in it replaced. */
static enum status write_text(struct pen *pen, write_valid write, const char *data, int64_t bytes,
                              struct error *error) {
  enum status status = STATUS_OK;
  while (status == STATUS_OK) {
    int64_t valid = (int64_t)utf8_valid_bytes((const uint8_t *)data, (size_t)bytes);
    status = write(pen, data, valid, error);
    if (status != STATUS_OK || valid == bytes) break;
    status = pen_bytes(pen, "\xEF\xBF\xBD", 3, error);
    data += valid + 1;
    bytes -= valid + 1;
  }
  return status;
}

enum status pen_json(struct pen *pen, const char *data, int64_t bytes, struct error *error) {
  enum status status = pen_room(pen, 1, error);
  if (status != STATUS_OK) return status;
  pen_put(pen, '"');
  if (bytes > 0) status = write_text(pen, json_valid, data, bytes, error);
  if (status == STATUS_OK) status = pen_room(pen, 1, error);
  if (status == STATUS_OK) pen_put(pen, '"');
  return status;
}

enum status pen_csv(struct pen *pen, const char *data, int64_t bytes, struct error *error) {
  if (!csv_needs_quotes(data, bytes)) return write_text(pen, pen_bytes, data, bytes, error);
  enum status status = pen_room(pen, 1, error);
  if (status != STATUS_OK) return status;
  pen_put(pen, '"');
  if (bytes > 0) status = write_text(pen, csv_valid, data, bytes, error);
  if (status == STATUS_OK) status = pen_room(pen, 1, error);
  if (status == STATUS_OK) pen_put(pen, '"');
  return status;
}

enum status pen_base64(struct pen *pen, const uint8_t *data, int64_t bytes, struct error *error) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  enum status status = pen_room(pen, bytes / 3 * 4 + 4, error);
  if (status != STATUS_OK) return status;
  for (; bytes > 0; data += 3, bytes -= 3) {
    unsigned second = bytes > 1 ? data[1] : 0;
    unsigned third = bytes > 2 ? data[2] : 0;
    unsigned three = (unsigned)data[0] << 16 | second << 8 | third;
    pen_put(pen, letters[three >> 18]);
    pen_put(pen, letters[three >> 12 & 63]);
    pen_put(pen, bytes > 1 ? letters[three >> 6 & 63] : '=');
    pen_put(pen, bytes > 2 ? letters[three & 63] : '=');
  }
  return STATUS_OK;
}
