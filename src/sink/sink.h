/* Where rows land. A sink is a destination that is open; a load is one movement of
 * rows into one of its tables, all or nothing.
 *
 *   sink_open -> load_begin -> load_append ... -> load_commit   (or load_abort)
 *
 * A destination is one file that fills in a `struct sink_type`, plus one line in
 * registry.c; the shared suite (tests/sink/suite.c) then runs against it.
 *
 * All calls block for the destination's own I/O: call them on a worker. Loads of one
 * sink may run on several threads at once; one load is used by one thread at a time. */
#ifndef ARROWPORT_SINK_SINK_H
#define ARROWPORT_SINK_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"
#include "base/config.h"
#include "base/status.h"
#include "base/table_name.h"

/* append adds rows; overwrite replaces the table's content; upsert replaces the rows of the keys
 * that come, whole (columns that do not come become NULL or their default), and adds those that
 * are new; merge changes only the columns that come. */
enum sink_mode { SINK_APPEND = 1, SINK_OVERWRITE = 2, SINK_UPSERT = 4, SINK_MERGE = 8 };
const char *sink_mode_name(enum sink_mode mode); /* "append"; NULL: there is no such mode */

enum sink_trait {
  SINK_TRANSACTIONAL = 1, /* a load is seen whole or not at all */
  SINK_DURABLE = 2,       /* load_commit returns after the rows survive a power cut */
  SINK_QUERYABLE = 4,     /* its tables can be read by SQL */
  SINK_TOKENS = 8,        /* a load with a token lands once, however often it is sent */
};

/* What becomes of a load whose schema is not the table's (docs/guarantees.md). */
enum schema_policy {
  /* Every column that comes is the table's and its type holds the values exactly; columns that do
   * not come are NULL or their default. Otherwise STATUS_SCHEMA. */
  SCHEMA_SKIP,
  SCHEMA_STRICT, /* the same columns, in the same order, of the very types; otherwise STATUS_SCHEMA */
  SCHEMA_MERGE, /* columns that the table lacks are added, types that are too narrow widened where
                  * nothing is lost; otherwise STATUS_SCHEMA */
};
const char *schema_policy_name(enum schema_policy policy); /* "skip"; NULL: there is no such one */

enum { SINK_TOKEN_BYTES_MAX = 287 }; /* 255 of a request, and the number of a batch of it */

struct sink; /* begins, in every implementation, with `const struct sink_type *type` */
struct load; /* likewise with `struct sink *sink` */

struct load_spec {
  struct table_name table;
  const struct ArrowSchema *schema; /* a struct; must live until load_begin returns */
  enum sink_mode mode;
  bool create_table;  /* when there is none of that name */
  int64_t chunk_rows; /* of one statement or write; 0: the choice of the sink */
  /* SINK_UPSERT and SINK_MERGE: the columns whose values say which row is meant, by name; they
   * must live until load_begin returns. None for the other modes. */
  const char *const *keys;
  size_t key_count;
  bool refuse_duplicates; /* two rows of one key in the load; false: the last one wins */
  enum schema_policy policy;
  /* What says that a later load is this one again: 1 to SINK_TOKEN_BYTES_MAX bytes, remembered for
   * each table with the rows, in their commit. It must live until load_begin returns. NULL: none. */
  const char *token;
};

/* In a SINK_MERGE load the column of this name is none of the table's: 'd' or 'delete' (in any
 * case) removes the row of that key; anything else, and NULL, puts the row there. */
#define SINK_OPERATION "_op"

struct load_result {
  int64_t rows;
  int64_t batches;
  int64_t version; /* of the table, where the sink counts them; -1 otherwise */
  /* The token had landed before: this load added nothing, and the figures are those of the first. */
  bool repeated;
  /* What was done to the table's columns (SCHEMA_MERGE), a line each; NULL: nothing. malloc'd. */
  char *changes;
};
/* Frees `changes`. */
void load_result_release(struct load_result *result);

/* A small load that has come whole: one of many that land together (sink_land). */
struct parcel {
  const struct ArrowSchema *schema; /* a struct; the caller's */
  struct ArrowArray *batches;       /* of that schema; the array is the caller's, what is in it is
                                     * sink_land's, which leaves every one released */
  int64_t batch_count;
  const char *token; /* as in struct load_spec */
  /* Filled in by sink_land: errors as load_begin, load_append and load_commit have them. */
  enum status status;
  bool schema_refused; /* STATUS_SCHEMA by its schema alone: no value was looked at */
  struct load_result result;
  struct error *error;
};

/* A table as a sink's owner sees it. */
struct table_info {
  struct table_name name;
  int64_t rows; /* -1: not known; may be an estimate */
  struct table_column {
    char *name;
    char *type; /* in the sink's own words */
    bool nullable;
  } * columns;
  int64_t column_count;
};
void table_info_release(struct table_info *info);

struct sink_type {
  const char *name;    /* "postgresql" */
  const char *summary; /* one line for `arrowport sinks` and the docs */
  unsigned modes;
  unsigned traits;
  const struct config_field *config;

  enum status (*open)(const struct config *config, struct sink **sink, struct error *error);
  void (*close)(struct sink *sink);
  enum status (*begin)(struct sink *sink, const struct load_spec *spec, struct load **load,
                       struct error *error);
  enum status (*append)(struct load *load, struct ArrowArray *batch, struct error *error);
  /* NULL where a sink collects nothing. */
  enum status (*flush)(struct load *load, struct error *error);
  enum status (*commit)(struct load *load, struct load_result *result, struct error *error);
  void (*abort)(struct load *load);
  /* NULL: parcels are loads one after the other. */
  void (*land)(struct sink *sink, const struct load_spec *spec, struct parcel *parcels,
               int64_t count);
  /* NULL where a sink remembers no tokens. */
  enum status (*lookup)(struct sink *sink, const struct table_name *name, const char *token,
                        bool *found, struct load_result *result, struct error *error);
  /* NULL where a sink keeps no tables. */
  enum status (*table_info)(struct sink *sink, const struct table_name *name,
                            struct table_info *info, struct error *error);
  enum status (*list_tables)(struct sink *sink, struct table_info **tables, int64_t *count,
                             struct error *error);
};

struct sink {
  const struct sink_type *type;
};
struct load {
  struct sink *sink;
};

/* The registry: every destination that is built in. */
const struct sink_type *sink_find(const char *name); /* NULL: none of that name */
const struct sink_type *const *sink_all(size_t *count);

/* Opens a sink with checked settings. STATUS_NOT_FOUND for an unknown name, with
 * those there are. */
enum status sink_open(const char *name, const struct config *config, struct sink **sink,
                      struct error *error) WARN_UNUSED;
void sink_close(struct sink *sink); /* every load is over; NULL is allowed */

/* Begins a load. STATUS_SCHEMA (does not fit the table, a key that is missing or of a nested
 * type: names the column), STATUS_INVALID (no keys where the mode needs them, or keys that it has
 * no use for), STATUS_UNSUPPORTED (a type or mode that the sink does not take, by name),
 * STATUS_NOT_FOUND (no table and create_table is false). Nothing is left behind by
 * a failure. */
enum status load_begin(struct sink *sink, const struct load_spec *spec, struct load **load,
                       struct error *error) WARN_UNUSED;
/* Appends `batch` (a struct array of the load's schema). Takes ownership on
 * STATUS_OK; on any error the caller keeps it, and the load must be aborted, except
 * after STATUS_BUDGET: nothing was written, the call may be repeated. */
enum status load_append(struct load *load, struct ArrowArray *batch,
                        struct error *error) WARN_UNUSED;
/* Hands what was collected in memory on to the destination (not committed yet), so
 * that the batches let go of their memory. Errors as load_append. */
enum status load_flush(struct load *load, struct error *error) WARN_UNUSED;
/* The rows are in the table, and durable where the sink is. The load is over and
 * freed, also after a failure, which leaves nothing of it behind (STATUS_UNKNOWN:
 * the destination did not say; sink_lookup does, where the load has a token). A token whose load has
 * landed before, even while this one was under way: nothing is added, `result->repeated`;
 * STATUS_SCHEMA when that load had another number of rows. `result` is to be released. */
enum status load_commit(struct load *load, struct load_result *result,
                        struct error *error) WARN_UNUSED;
void load_abort(struct load *load); /* nothing remains; NULL is allowed */

/* Lands parcels in the table of `spec` (SINK_APPEND; its schema and token are not looked at) in their
 * order and in as few commits as the destination can. Each is all or nothing by itself: one that
 * fails hears why, and the others land all the same. Two of one token: the first one lands. Returns
 * when every parcel's outcome is known, and durable where the sink is. Blocks. */
void sink_land(struct sink *sink, const struct load_spec *spec, struct parcel *parcels,
               int64_t count);

/* Whether a load of that token has landed in the table, and what it answered: for whoever does not
 * know how his load ended. STATUS_UNSUPPORTED where the sink remembers none. Waits for a commit of
 * that token that is under way. */
enum status sink_lookup(struct sink *sink, const struct table_name *name, const char *token,
                        bool *found, struct load_result *result, struct error *error) WARN_UNUSED;

enum status sink_table_info(struct sink *sink, const struct table_name *name,
                            struct table_info *info, struct error *error) WARN_UNUSED;
/* `tables` is an array of `count` infos, without columns, to be released one by one
 * and freed. */
enum status sink_list_tables(struct sink *sink, struct table_info **tables, int64_t *count,
                             struct error *error) WARN_UNUSED;

#endif
