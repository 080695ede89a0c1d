/* What a client asks of /ingest, read from its query string. No I/O. */
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
};

/* Reads `mode`, `key` (also `upsert_key`, `key_column`: repeated, or names separated by commas;
 * a name in double quotes may hold commas), `on_duplicate` and `eos`. STATUS_INVALID for anything
 * else, with the nearest that is known: a misspelt mode must not append. `ask` is safe to release
 * whatever happens. */
enum status ingest_ask_read(struct ingest_ask *ask, const char *query,
                            struct error *error) WARN_UNUSED;
void ingest_ask_release(struct ingest_ask *ask);

#endif
