#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MIN = 64, NEAREST_LENGTH_MAX = 63, NEAREST_DISTANCE_MAX = 2 };

const char *text_get(const struct text *text) { return text->data == NULL ? "" : text->data; }

/* Room for `bytes` more and the terminating NUL. */
static enum status text_reserve(struct text *text, size_t bytes, struct error *error) {
  if (bytes < text->capacity_bytes - text->size_bytes) return STATUS_OK;
  if (bytes > SIZE_MAX / 4 - text->size_bytes)
    return error_set(error, STATUS_NOMEM, "no memory for a text of %zu bytes", bytes);
  size_t capacity_bytes = text->capacity_bytes == 0 ? TEXT_BYTES_MIN : text->capacity_bytes;
  while (capacity_bytes <= text->size_bytes + bytes) capacity_bytes *= 2;
  char *data = realloc(text->data, capacity_bytes);
  if (data == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a text of %zu bytes", capacity_bytes);
  data[text->size_bytes] = '\0';
  text->data = data;
  text->capacity_bytes = capacity_bytes;
  return STATUS_OK;
}

enum status text_add_bytes(struct text *text, const void *data, size_t bytes, struct error *error) {
  enum status status = text_reserve(text, bytes, error);
  if (status != STATUS_OK) return status;
  if (bytes > 0) memcpy(text->data + text->size_bytes, data, bytes);
  text->size_bytes += bytes;
  text->data[text->size_bytes] = '\0';
  return STATUS_OK;
}

enum status text_add(struct text *text, const char *string, struct error *error) {
  return text_add_bytes(text, string, strlen(string), error);
}

enum status text_add_format(struct text *text, struct error *error, const char *format, ...) {
  va_list arguments;
  enum status status = text_reserve(text, TEXT_BYTES_MIN / 2, error); /* most fit at once */
  if (status != STATUS_OK) return status;
  size_t room = text->capacity_bytes - text->size_bytes;
  va_start(arguments, format);
  int bytes = vsnprintf(text->data + text->size_bytes, room, format, arguments);
  va_end(arguments);
  if (bytes >= 0 && (size_t)bytes < room) {
    text->size_bytes += (size_t)bytes;
    return STATUS_OK;
  }
  text->data[text->size_bytes] = '\0';
  if (bytes < 0) return error_set(error, STATUS_INTERNAL, "a message could not be formatted");
  status = text_reserve(text, (size_t)bytes, error);
  if (status != STATUS_OK) return status;
  va_start(arguments, format);
  vsnprintf(text->data + text->size_bytes, (size_t)bytes + 1, format, arguments);
  va_end(arguments);
  text->size_bytes += (size_t)bytes;
  return STATUS_OK;
}

/* `string` between two `quote`s, inner ones doubled. */
static enum status add_quoted(struct text *text, const char *string, char quote,
                              struct error *error) {
  size_t before_bytes = text->size_bytes;
  enum status status = text_reserve(text, 2 * strlen(string) + 2, error);
  if (status != STATUS_OK) return status;
  char *end = text->data + before_bytes;
  *end++ = quote;
  for (; *string != '\0'; string++) {
    if (*string == quote) *end++ = quote;
    *end++ = *string;
  }
  *end++ = quote;
  *end = '\0';
  text->size_bytes = (size_t)(end - text->data);
  return STATUS_OK;
}

enum status text_add_identifier(struct text *text, const char *name, struct error *error) {
  return add_quoted(text, name, '"', error);
}

enum status text_add_literal(struct text *text, const char *string, struct error *error) {
  return add_quoted(text, string, '\'', error);
}

/* What stands for `byte` in a JSON string; NULL: the byte itself. */
static const char *json_escape(uint8_t byte, char scratch[8]) {
  switch (byte) {
  case '"': return "\\\"";
  case '\\': return "\\\\";
  case '\n': return "\\n";
  case '\r': return "\\r";
  case '\t': return "\\t";
  default:
    if (byte >= 0x20) return NULL;
    snprintf(scratch, 8, "\\u%04x", byte);
    return scratch;
  }
}

static enum status add_json_valid(struct text *text, const uint8_t *bytes, size_t count,
                                  struct error *error) {
  size_t plain = 0;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    char scratch[8];
    const char *escape = json_escape(bytes[i], scratch);
    if (escape == NULL) continue;
    status = text_add_bytes(text, bytes + plain, i - plain, error);
    if (status == STATUS_OK) status = text_add(text, escape, error);
    plain = i + 1;
  }
  if (status == STATUS_OK) status = text_add_bytes(text, bytes + plain, count - plain, error);
  return status;
}

enum status text_add_json(struct text *text, const char *string, size_t bytes,
                          struct error *error) {
  size_t before_bytes = text->size_bytes;
  enum status status = text_add(text, "\"", error);
  const uint8_t *left = (const uint8_t *)string;
  while (bytes > 0 && status == STATUS_OK) {
    size_t valid = utf8_valid_bytes(left, bytes);
    status = add_json_valid(text, left, valid, error);
    left += valid;
    bytes -= valid;
    if (bytes == 0 || status != STATUS_OK) break;
    status = text_add(text, "\xEF\xBF\xBD", error); /* U+FFFD */
    left++;
    bytes--;
  }
  if (status == STATUS_OK) status = text_add(text, "\"", error);
  if (status != STATUS_OK && text->data != NULL) {
    text->size_bytes = before_bytes;
    text->data[before_bytes] = '\0';
  }
  return status;
}

/* Controls, and the marks that reorder text. */
static bool is_hidden(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

enum status text_add_visible(struct text *text, const char *data, size_t bytes, bool keep_lines,
                             struct error *error) {
  enum status status = STATUS_OK;
  size_t before_bytes = text->size_bytes;
  size_t length = 1;
  for (size_t i = 0; i < bytes && status == STATUS_OK; i += length) {
    uint32_t code = 0;
    bool is_space = data[i] == '\n' || data[i] == '\t';
    length = utf8_code_point((const uint8_t *)data + i, bytes - i, &code);
    if (length == 0) {
      status = text_add_format(text, error, "\\x%02X", (uint8_t)data[i]);
      length = 1;
    } else if (is_space && !keep_lines) {
      status = text_add(text, data[i] == '\n' ? "\\n" : "\\t", error);
    } else if (is_hidden(code) && !is_space) {
      status = text_add_format(text, error, code < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)code);
    } else {
      status = text_add_bytes(text, data + i, length, error);
    }
  }
  if (status != STATUS_OK && text->data != NULL) {
    text->size_bytes = before_bytes;
    text->data[before_bytes] = '\0';
  }
  return status;
}

void text_clear(struct text *text) {
  text->size_bytes = 0;
  if (text->data != NULL) text->data[0] = '\0';
}

void text_release(struct text *text) {
  free(text->data);
  *text = TEXT_EMPTY;
}

static size_t smallest(size_t a, size_t b, size_t c) {
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

/* Levenshtein distance of two short words. */
static size_t edit_distance(const char *left, const char *right) {
  size_t left_length = strlen(left);
  size_t right_length = strlen(right);
  if (left_length > NEAREST_LENGTH_MAX || right_length > NEAREST_LENGTH_MAX) return SIZE_MAX;
  size_t row[NEAREST_LENGTH_MAX + 1];
  for (size_t j = 0; j <= right_length; j++) row[j] = j;
  for (size_t i = 1; i <= left_length; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= right_length; j++) {
      size_t replaced = diagonal + (left[i - 1] != right[j - 1]);
      diagonal = row[j];
      row[j] = smallest(row[j] + 1, row[j - 1] + 1, replaced);
    }
  }
  return row[right_length];
}

const char *text_nearest(const char *word, const char *const *names, size_t count) {
  const char *best = NULL;
  size_t best_distance = NEAREST_DISTANCE_MAX + 1;
  for (size_t i = 0; i < count; i++) {
    size_t distance = edit_distance(word, names[i]);
    if (distance >= best_distance || 2 * distance >= strlen(word)) continue;
    best = names[i];
    best_distance = distance;
  }
  return best;
}
