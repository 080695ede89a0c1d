#include "base/table_name.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Every byte but the parts' own structure: length, encoding, control characters. */
static enum status check_bytes(const char *string, size_t bytes, struct error *error) {
  if (bytes == 0)
    return error_set(error, STATUS_INVALID, "a table name is empty; give 1 to %d bytes",
                     TABLE_NAME_BYTES_MAX);
  if (bytes > TABLE_NAME_BYTES_MAX)
    return error_set(error, STATUS_INVALID, "a table name has %zu bytes; at most %d are allowed",
                     bytes, TABLE_NAME_BYTES_MAX);
  size_t valid = utf8_valid_bytes((const uint8_t *)string, bytes);
  if (valid < bytes)
    return error_set(error, STATUS_INVALID, "a table name is not UTF-8 at byte %zu", valid);
  for (size_t i = 0; i < bytes; i++) {
    uint8_t byte = (uint8_t)string[i];
    bool c1 = byte == 0xC2 && (uint8_t)string[i + 1] < 0xA0; /* U+0080..U+009F */
    if (byte < 0x20 || byte == 0x7F || c1)
      return error_set(error, STATUS_INVALID,
                       "a table name has a control character at byte %zu; none is allowed", i);
  }
  return STATUS_OK;
}

/* The part that begins at `*at`; leaves `*at` behind it. */
static enum status parse_part(const char *string, size_t bytes, size_t *at, char *part,
                              struct error *error) {
  size_t length = 0;
  size_t begin = *at;
  if (*at < bytes && string[*at] == '"') {
    for ((*at)++;; (*at)++) {
      if (*at == bytes)
        return error_set(error, STATUS_INVALID,
                         "the quote at byte %zu of a table name is not closed", begin);
      if (string[*at] == '"') {
        if (*at + 1 == bytes || string[*at + 1] != '"') break;
        (*at)++;
      }
      part[length++] = string[*at];
    }
    (*at)++;
    if (*at < bytes && string[*at] != '.')
      return error_set(error, STATUS_INVALID,
                       "byte %zu of a table name follows a closing quote; a dot or the end "
                       "must (write a quote inside quotes twice)",
                       *at);
  } else {
    while (*at < bytes && string[*at] != '.') part[length++] = string[(*at)++];
  }
  part[length] = '\0';
  if (length == 0)
    return error_set(error, STATUS_INVALID, "a part of a table name is empty at byte %zu", begin);
  return STATUS_OK;
}

enum status table_name_parse(const char *string, size_t bytes, struct table_name *name,
                             struct error *error) {
  memset(name, 0, sizeof *name);
  enum status status = check_bytes(string, bytes, error);
  if (status != STATUS_OK) return status;

  struct table_name parts = {0};
  char *const slots[] = {parts.catalog, parts.schema, parts.table};
  size_t count = 0;
  size_t at = 0;
  for (;;) {
    if (count == 3)
      return error_set(error, STATUS_INVALID,
                       "a table name has more than three parts (catalog.schema.table); quote a "
                       "part that holds dots");
    status = parse_part(string, bytes, &at, slots[count++], error);
    if (status != STATUS_OK) return status;
    if (at == bytes) break;
    at++; /* the dot; after it a part must come, which parse_part sees to */
  }
  memcpy(name->table, slots[count - 1], sizeof name->table);
  if (count > 1) memcpy(name->schema, slots[count - 2], sizeof name->schema);
  if (count > 2) memcpy(name->catalog, slots[0], sizeof name->catalog);
  return STATUS_OK;
}

static enum status add_parts(const struct table_name *name, struct text *out, bool always_quote,
                             struct error *error) {
  const char *const parts[] = {name->catalog, name->schema, name->table};
  enum status status = STATUS_OK;
  bool first = true;
  for (size_t i = 0; i < 3 && status == STATUS_OK; i++) {
    if (parts[i][0] == '\0') continue;
    if (!first) status = text_add(out, ".", error);
    first = false;
    if (status != STATUS_OK) break;
    bool quote = always_quote || strpbrk(parts[i], ".\"") != NULL;
    status = quote ? text_add_identifier(out, parts[i], error) : text_add(out, parts[i], error);
  }
  return status;
}

enum status table_name_sql(const struct table_name *name, struct text *out, struct error *error) {
  return add_parts(name, out, true, error);
}

enum status table_name_print(const struct table_name *name, struct text *out, struct error *error) {
  return add_parts(name, out, false, error);
}

bool table_name_same(const struct table_name *left, const struct table_name *right) {
  const char *left_schema = left->schema[0] != '\0' ? left->schema : "main";
  const char *right_schema = right->schema[0] != '\0' ? right->schema : "main";
  return strcasecmp(left->table, right->table) == 0 && strcasecmp(left_schema, right_schema) == 0 &&
         strcasecmp(left->catalog, right->catalog) == 0;
}
