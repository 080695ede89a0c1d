/* Arrowport for C programs: land Arrow anywhere.
 *
 * Functions that can fail return an `enum arrowport_status` and, where a `struct
 * arrowport_error` is given, say in it what went wrong in a sentence for a person.
 * Options structs begin with `struct_size`, which the caller sets to sizeof of the
 * struct it was compiled with, so that later versions can add members. Nothing here
 * is tied to a thread; one call uses what it is given on the calling thread. */
#ifndef ARROWPORT_ARROWPORT_H
#define ARROWPORT_ARROWPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ARROWPORT_EXPORT __attribute__((visibility("default")))
#else
#define ARROWPORT_EXPORT
#endif

struct ArrowArrayStream; /* of the Arrow C stream interface, arrowport/c_data.h */

/* "0.1.0" */
ARROWPORT_EXPORT const char *arrowport_version(void);

enum arrowport_status {
  ARROWPORT_OK = 0,
  ARROWPORT_INVALID = 1,         /* the input is broken */
  ARROWPORT_SCHEMA = 2,          /* the data does not fit its destination */
  ARROWPORT_NOT_FOUND = 3,       /* no such thing */
  ARROWPORT_DENIED = 4,          /* not allowed */
  ARROWPORT_CONFLICT = 5,        /* somebody else changed what was read */
  ARROWPORT_BUDGET = 6,          /* memory limit reached, try again later */
  ARROWPORT_UNAVAILABLE = 7,     /* the other side does not answer, try again */
  ARROWPORT_UNKNOWN = 8,         /* the outcome is not known and must be looked up */
  ARROWPORT_UNSUPPORTED = 9,     /* valid, but not supported here */
  ARROWPORT_NOMEM = 10,          /* the system has no memory */
  ARROWPORT_IO = 11,             /* reading or writing storage failed */
  ARROWPORT_TOO_LARGE = 12,      /* larger than a limit allows */
  ARROWPORT_TIMEOUT = 13,        /* not done within the time allowed */
  ARROWPORT_CANCELLED = 14,      /* given up by the one who asked */
  ARROWPORT_INTERNAL = 15,       /* a defect of this program */
  ARROWPORT_UNAUTHENTICATED = 16 /* it is not known who asks */
};

/* "INVALID"; "?" for a number that is no status. Never NULL. */
ARROWPORT_EXPORT const char *arrowport_status_name(enum arrowport_status status);

struct arrowport_error {
  char text[1024];
};

struct arrowport_setting {
  const char *name;
  const char *value;
};

struct arrowport_load_options {
  size_t struct_size;
  const char *sink;                         /* "duckdb"; `arrowport sinks` lists them */
  const char *table;                        /* `table`, `schema.table` or `catalog.schema.table` */
  const struct arrowport_setting *settings; /* the sink's: {"path", "warehouse.duckdb"} */
  size_t setting_count;
  bool must_exist;         /* refuse with NOT_FOUND rather than create the table */
  const char *mode;        /* "append" (also when NULL), "overwrite", "upsert", "merge" */
  const char *const *keys; /* of upsert and merge: the columns that say which row is meant */
  size_t key_count;
  bool refuse_duplicates;    /* two rows of one key fail the load; false: the last one wins */
  const char *schema_policy; /* "skip" (also when NULL), "strict", "merge" */
  /* A load with the key of one that has landed in the table adds nothing and answers as that one
   * did; NULL: none. docs/guarantees.md says for how long, and which sinks do. */
  const char *idempotency_key;
  bool *repeated; /* set: whether it had landed before, and nothing was added; may be NULL */
};

struct arrowport_load_result {
  int64_t rows;
  int64_t batches;
  int64_t version; /* of the table, where the sink counts them; -1 otherwise */
};

/* Appends all rows of `stream` to a table, all or nothing; blocks until they are
 * committed, and durable where the sink is. The stream is released, whatever comes
 * of it. `result` and `error` may be NULL. */
ARROWPORT_EXPORT enum arrowport_status arrowport_load(struct ArrowArrayStream *stream,
                                                      const struct arrowport_load_options *options,
                                                      struct arrowport_load_result *result,
                                                      struct arrowport_error *error);

#ifdef __cplusplus
}
#endif

#endif
