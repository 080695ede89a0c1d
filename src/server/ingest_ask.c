#include "server/ingest_ask.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "net/net.h"

enum asked { ASKED_MODE = 1, ASKED_DUPLICATE = 2, ASKED_EOS = 4 };

enum status ingest_ask_add_key(struct ingest_ask *ask, const char *name, size_t bytes,
                               struct error *error) {
  if (bytes == 0) return error_set(error, STATUS_INVALID, "key names a column without a name");
  if (ask->key_count == INGEST_KEYS_MAX)
    return error_set(error, STATUS_INVALID, "key names more than %d columns", INGEST_KEYS_MAX);
  char *copy = strndup(name, bytes);
  if (copy == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  for (size_t i = 0; i < ask->key_count; i++) {
    if (strcasecmp(ask->keys[i], copy) != 0) continue;
    free(copy);
    return error_set(error, STATUS_INVALID, "key names the column '%.100s' twice", ask->keys[i]);
  }
  ask->keys[ask->key_count++] = copy;
  return STATUS_OK;
}

/* A name in double quotes, two of which stand for one, is unquoted where it lies. */
static enum status add_quoted_key(struct ingest_ask *ask, char **at, struct error *error) {
  char *begin = *at + 1, *to = begin, *from = begin;
  bool closed = false;
  while (*from != '\0' && !closed) {
    closed = from[0] == '"' && from[1] != '"';
    if (from[0] == '"') from++;
    if (!closed) *to++ = *from++;
  }
  if (!closed || (*from != '\0' && *from != ','))
    return error_set(error, STATUS_INVALID,
                     "key has a double quote that does not end before a comma: %.100s", *at);
  *at = from;
  return ingest_ask_add_key(ask, begin, (size_t)(to - begin), error);
}

static enum status add_keys(struct ingest_ask *ask, char *value, struct error *error) {
  enum status status = STATUS_OK;
  for (char *at = value; status == STATUS_OK; at++) {
    if (*at == '"') {
      status = add_quoted_key(ask, &at, error);
    } else {
      size_t bytes = strcspn(at, ",");
      status = ingest_ask_add_key(ask, at, bytes, error);
      at += bytes;
    }
    if (status == STATUS_OK && *at == '\0') break;
  }
  return status;
}

static enum status take_mode(struct ingest_ask *ask, const char *value, struct error *error) {
  static const enum sink_mode modes[] = {SINK_APPEND, SINK_OVERWRITE, SINK_UPSERT, SINK_MERGE};
  const char *names[4];
  for (size_t i = 0; i < 4; i++) {
    names[i] = sink_mode_name(modes[i]);
    if (strcmp(names[i], value) != 0) continue;
    ask->mode = modes[i];
    return STATUS_OK;
  }
  const char *nearest = text_nearest(value, names, 4);
  return error_set(error, STATUS_INVALID,
                   "mode is '%.40s'%s%s%s; it must be append, overwrite, upsert or merge", value,
                   nearest != NULL ? " (did you mean " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "?)" : "");
}

/* One of two words; the second one sets `flag`. */
static enum status take_word(const char *name, const char *value, const char *plain,
                             const char *special, bool *flag, struct error *error) {
  *flag = strcmp(value, special) == 0;
  if (*flag || strcmp(value, plain) == 0) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "%s is '%.40s'; it must be %s or %s", name, value, plain,
                   special);
}

static enum status refuse_unknown(const char *name, struct error *error) {
  static const char *const known[] = {"mode",       "key",          "upsert_key",
                                      "key_column", "on_duplicate", "eos"};
  const char *nearest = text_nearest(name, known, sizeof known / sizeof known[0]);
  return error_set(
      error, STATUS_INVALID,
      "the query parameter '%.60s' is not known%s%s%s; mode, key, on_duplicate and eos "
      "are",
      name, nearest != NULL ? " (did you mean " : "", nearest != NULL ? nearest : "",
      nearest != NULL ? "?)" : "");
}

static enum status take_once(const char *name, unsigned bit, unsigned *seen, struct error *error) {
  if ((*seen & bit) != 0) return error_set(error, STATUS_INVALID, "%s is given twice", name);
  *seen |= bit;
  return STATUS_OK;
}

enum status ingest_ask_set(struct ingest_ask *ask, const char *name, char *value,
                           struct error *error) {
  enum status status;
  unsigned *seen = &ask->seen;
  if (strcmp(name, "key") == 0 || strcmp(name, "upsert_key") == 0 ||
      strcmp(name, "key_column") == 0)
    return add_keys(ask, value, error);
  if (strcmp(name, "mode") == 0) {
    status = take_once(name, ASKED_MODE, seen, error);
    return status == STATUS_OK ? take_mode(ask, value, error) : status;
  }
  if (strcmp(name, "on_duplicate") == 0) {
    status = take_once(name, ASKED_DUPLICATE, seen, error);
    return status == STATUS_OK
               ? take_word(name, value, "last", "error", &ask->refuse_duplicates, error)
               : status;
  }
  if (strcmp(name, "eos") == 0) {
    status = take_once(name, ASKED_EOS, seen, error);
    return status == STATUS_OK
               ? take_word(name, value, "required", "optional", &ask->eos_optional, error)
               : status;
  }
  return refuse_unknown(name, error);
}

/* `name=value` of so many bytes. */
static enum status take_pair(struct ingest_ask *ask, const char *pair, size_t bytes,
                             struct error *error) {
  char *name = strndup(pair, bytes);
  if (name == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  char *value = name + strcspn(name, "=");
  if (*value == '=') *value++ = '\0';
  enum status status =
      http_percent_decode(name, true) && http_percent_decode(value, true)
          ? ingest_ask_set(ask, name, value, error)
          : error_set(error, STATUS_INVALID,
                      "a query parameter is not properly percent-encoded: %.100s", name);
  free(name);
  return status;
}

/* What goes with what. */
enum status ingest_ask_check(const struct ingest_ask *ask, struct error *error) {
  bool keyed = ask->mode == SINK_UPSERT || ask->mode == SINK_MERGE;
  const char *mode = sink_mode_name(ask->mode);
  if (keyed && ask->key_count == 0)
    return error_set(error, STATUS_INVALID,
                     "mode=%s needs the columns that say which row is meant: add &key=COLUMN",
                     mode);
  if (!keyed && ask->key_count > 0)
    return error_set(error, STATUS_INVALID,
                     "key has no meaning with mode=%s; it has with mode=upsert and mode=merge",
                     mode);
  if (!keyed && (ask->seen & ASKED_DUPLICATE) != 0)
    return error_set(error, STATUS_INVALID,
                     "on_duplicate has no meaning with mode=%s; it has with mode=upsert and "
                     "mode=merge",
                     mode);
  return STATUS_OK;
}

enum status ingest_ask_read(struct ingest_ask *ask, const char *query, struct error *error) {
  *ask = (struct ingest_ask){.mode = SINK_APPEND};
  enum status status = STATUS_OK;
  for (const char *at = query; *at != '\0' && status == STATUS_OK; at += *at == '&') {
    size_t bytes = strcspn(at, "&");
    if (bytes > 0) status = take_pair(ask, at, bytes, error);
    at += bytes;
  }
  return status == STATUS_OK ? ingest_ask_check(ask, error) : status;
}

void ingest_ask_release(struct ingest_ask *ask) {
  for (size_t i = 0; i < ask->key_count; i++) free(ask->keys[i]);
  *ask = (struct ingest_ask){.mode = SINK_APPEND};
}
