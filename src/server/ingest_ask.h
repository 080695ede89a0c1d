/* What a client asks of /ingest, read from its query string, or of a DoPut. No I/O. */
#ifndef ARROWPORT_SERVER_INGEST_ASK_H
#define ARROWPORT_SERVER_INGEST_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "sink/sink.h"

enum { INGEST_KEYS_MAX = 64 };

struct ingest_ask {
  enum sink_mode mode;
  char *keys[INGEST_KEYS_MAX];
  size_t key_count;
  bool refuse_duplicates;
  bool eos_optional;
  unsigned seen; /* private */
};

/* Reads `mode`, `key` (also `upsert_key`, `key_column`: repeated, or names separated by commas;
 * a name in double quotes may hold commas), `on_duplicate` and `eos`. STATUS_INVALID for anything
 * else, with the nearest that is known: a misspelt mode must not append. `ask` is safe to release
 * whatever happens. */
enum status ingest_ask_read(struct ingest_ask *ask, const char *query,
                            struct error *error) WARN_UNUSED;
/* The same one by one: a parameter (`value` is changed on the way), a key column, and at the end
 * whether they go together. The struct begins with .mode = SINK_APPEND. */
enum status ingest_ask_set(struct ingest_ask *ask, const char *name, char *value,
                           struct error *error) WARN_UNUSED;
enum status ingest_ask_add_key(struct ingest_ask *ask, const char *name, size_t bytes,
                               struct error *error) WARN_UNUSED;
enum status ingest_ask_check(const struct ingest_ask *ask, struct error *error) WARN_UNUSED;
void ingest_ask_release(struct ingest_ask *ask);

#endif
