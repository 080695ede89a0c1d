/* Text that grows: for SQL, JSON, messages. Always NUL-terminated once it holds
 * anything; `TEXT_EMPTY` is valid and safe to release. Not charged to a budget:
 * it is for small things whose size we decide. */
#ifndef ARROWPORT_BASE_TEXT_H
#define ARROWPORT_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct text {
  char *data; /* NULL while empty */
  size_t size_bytes;
  size_t capacity_bytes;
};

#define TEXT_EMPTY ((struct text){0})

/* What the text says; "" while empty. */
const char *text_get(const struct text *text);

/* All return STATUS_OK or STATUS_NOMEM, and leave the text as it was on failure. */
enum status text_add(struct text *text, const char *string, struct error *error) WARN_UNUSED;
enum status text_add_bytes(struct text *text, const void *data, size_t bytes,
                           struct error *error) WARN_UNUSED;
enum status text_add_format(struct text *text, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4) WARN_UNUSED;

/* `"name"`, inner double quotes doubled: an SQL identifier that can say nothing else. */
enum status text_add_identifier(struct text *text, const char *name,
                                struct error *error) WARN_UNUSED;
/* `'string'`, inner quotes doubled: an SQL literal. */
enum status text_add_literal(struct text *text, const char *string,
                             struct error *error) WARN_UNUSED;
/* `"string"` with what JSON needs escaped (RFC 8259 section 7); bytes that are not
 * UTF-8 become U+FFFD. */
enum status text_add_json(struct text *text, const char *string, size_t bytes,
                          struct error *error) WARN_UNUSED;

/* Text from elsewhere for a terminal: what would move the cursor, reorder what follows or is
 * no character is written as \n, \x1B, \u202E. With `keep_lines` the ends of lines and tabs
 * stay what they are. */
enum status text_add_visible(struct text *text, const char *data, size_t bytes, bool keep_lines,
                             struct error *error) WARN_UNUSED;

/* Forgets what it says, keeps the memory. */
void text_clear(struct text *text);
void text_release(struct text *text);

/* The first of `names` that `word` was probably meant to be (edit distance at most
 * 2 and less than half its length), or NULL. */
const char *text_nearest(const char *word, const char *const *names, size_t count);

/* Length in bytes of the valid UTF-8 at the start of `data` (Unicode 15, table 3-7:
 * no overlong forms, surrogates, or code points past U+10FFFF); `bytes` when all
 * of it is valid. */
size_t utf8_valid_bytes(const uint8_t *data, size_t bytes);
/* True when no byte is past 0x7F: valid UTF-8 wherever it is cut. */
bool utf8_is_ascii(const uint8_t *data, size_t bytes);
/* The code point at the start of `bytes` >= 1, and its length; 0: it is no UTF-8. */
size_t utf8_code_point(const uint8_t *data, size_t bytes, uint32_t *code);

#endif
