/* The JSON form of rows: however a body is cut it is read the same, and what is read is what
 * jansson and a plain base64 decoder say of it; what they take is taken.
 * The first two bytes are the size of pieces and of room for the data; the body follows. */
#include "../tests/server/stream_json_read.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct budget budget = {.limit_bytes = 256 << 20};

/* -1: it is no base64, with white space allowed. */
static int64_t plain_base64(const char *text, size_t bytes, uint8_t *out) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint32_t bits = 0;
  int64_t made = 0;
  int count = 0, padding = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') continue;
    if (text[i] == '=') {
      padding++;
      bits <<= 6;
    } else {
      const char *found = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);
      if (found == NULL || padding > 0) return -1;
      bits = bits << 6 | (uint32_t)(found - alphabet);
    }
    if (++count % 4 != 0) continue;
    if (padding > 2 || (padding == 1 && (bits & 0xFF) != 0) ||
        (padding == 2 && (bits & 0xFFFF) != 0))
      return -1;
    for (int k = 0; k < 3 - padding; k++) out[made++] = (uint8_t)(bits >> (16 - 8 * k));
    if (padding > 0) padding = 3; /* nothing follows */
    bits = 0;
  }
  return count % 4 == 0 ? made : -1;
}

/* A member that is text of base64, against what was read; false: they take it to be wrong. */
static bool same_bytes(const json_t *batch, const char *name, const struct buffer *read,
                       bool taken) {
  const json_t *value = json_object_get(batch, name);
  if (value == NULL) {
    if (taken && read->size_bytes != 0) abort();
    return true;
  }
  if (!json_is_string(value)) return false;
  size_t bytes = json_string_length(value);
  uint8_t *out = malloc(bytes + 3);
  int64_t made = plain_base64(json_string_value(value), bytes, out);
  if (taken &&
      (made != read->size_bytes || (made > 0 && memcmp(out, read->data, (size_t)made) != 0)))
    abort();
  free(out);
  return made >= 0;
}

static bool only_members(const json_t *object, const char *one, const char *other) {
  size_t known = (json_object_get(object, one) != NULL) + (json_object_get(object, other) != NULL);
  return json_is_object(object) && json_object_size(object) == known;
}

static void compare(const uint8_t *body, size_t bytes, const struct stream_json_read *read) {
  bool taken = read->status == STATUS_OK;
  json_t *whole = json_loadb((const char *)body, bytes, JSON_REJECT_DUPLICATES, NULL);
  if (taken) { /* a config is looked at as a whole by others */
    json_t *config =
        json_loadb(read->config.data, read->config.size_bytes, JSON_REJECT_DUPLICATES, NULL);
    if ((config != NULL) != (whole != NULL)) abort();
    if (whole != NULL && !json_equal(config, json_object_get(whole, "config"))) abort();
    json_decref(config);
  }
  if (whole != NULL) {
    const json_t *batch = json_object_get(whole, "batch");
    bool right = only_members(whole, "config", "batch") &&
                 json_is_object(json_object_get(whole, "config")) &&
                 only_members(batch, "arrow_schema", "data") &&
                 json_object_get(batch, "data") != NULL;
    right = right && same_bytes(batch, "arrow_schema", &read->schema, taken);
    right = right && same_bytes(batch, "data", &read->data, taken);
    if (taken && !right) abort();
    if (right && !taken && read->status != STATUS_TOO_LARGE &&
        strstr(read->error.text, "nested more") == NULL)
      abort();
  }
  json_decref(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes < 2) return 0;
  struct stream_json_read whole, pieces;
  const uint8_t *body = data + 2;
  bytes -= 2;
  stream_json_read(body, bytes, bytes + 1, 3 * bytes / 4 + 8, &budget, &whole);
  stream_json_read(body, bytes, 1 + data[0] % 64, 1 + data[1] % 64, &budget, &pieces);
  if (whole.status != pieces.status || strcmp(whole.error.text, pieces.error.text) != 0) abort();
  if (whole.status == STATUS_OK) {
    if (strcmp(whole.events, pieces.events) != 0) abort();
    if (strcmp(text_get(&whole.config), text_get(&pieces.config)) != 0) abort();
    if (whole.data.size_bytes != pieces.data.size_bytes) abort();
    if (whole.data.size_bytes > 0 &&
        memcmp(whole.data.data, pieces.data.data, (size_t)whole.data.size_bytes) != 0)
      abort();
  }
  compare(body, bytes, &whole);
  stream_json_read_release(&whole);
  stream_json_read_release(&pieces);
  if (budget.used_bytes != 0) abort();
  return 0;
}
