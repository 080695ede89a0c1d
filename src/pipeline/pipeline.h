/* The middle of the spine: what lies between a source and a sink.
 *
 * Rows are pulled from a source that is read at leisure (pipeline_run), or pushed
 * by somebody who must not be kept waiting, a connection on the event loop
 * (intake). Either way one movement is one load of the sink: all or nothing. */
#ifndef ARROWPORT_PIPELINE_PIPELINE_H
#define ARROWPORT_PIPELINE_PIPELINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/workers.h"
#include "sink/sink.h"
#include "source/source.h"

/* Where rows go and how. */
struct pipeline_target {
  struct sink *sink;
  struct table_name table;
  enum sink_mode mode;
  bool create_table;
  int64_t chunk_rows;      /* rows of one statement or write; 0: the sink's own choice */
  const char *const *keys; /* as in struct load_spec; they live as long as the movement */
  size_t key_count;
  bool refuse_duplicates;
  enum schema_policy policy;
  const char *token; /* as in struct load_spec; it lives as long as the movement */
};
/* What a sink is told of it. */
struct load_spec pipeline_load_spec(const struct pipeline_target *target,
                                    const struct ArrowSchema *schema);

struct pipeline_progress {
  /* Called after each batch; returning false cancels the load (STATUS_CANCELLED). */
  bool (*report)(void *context, int64_t rows, int64_t batches);
  void *context;
};

/* Moves all of `source` into the target on the caller's thread; blocks. `progress`
 * may be NULL. After a failure the destination is as it was. */
enum status pipeline_run(struct source *source, const struct pipeline_target *target,
                         const struct pipeline_progress *progress, struct load_result *result,
                         struct error *error) WARN_UNUSED;

/* ---- groups: small loads that share commits ------------------------------------ */

/* Small appends that have come whole queue for their table, in the order in which they became whole.
 * A task lands what has queued as soon as the last group is committed (sink_land): nothing waits for a
 * group to fill. A load that fails takes no other along. */
struct groups;

struct group_limits {
  int64_t rows_max, bytes_max; /* of a group; one load that has more is a group by itself */
  int64_t time_ms;             /* so long may its commit take, as far as the last ones tell */
};

enum status groups_new(struct workers *workers, struct groups **groups,
                       struct error *error) WARN_UNUSED;
void groups_free(struct groups *groups); /* after the workers have ended; NULL is allowed */
/* Since the beginning: groups that were landed, and loads in them; from any thread. */
void groups_look(const struct groups *groups, int64_t *commits, int64_t *loads);

/* ---- intake: messages pushed from the event loop ------------------------------ */

struct intake;

/* How far a stream that commits on the way has got. */
struct intake_offset {
  int64_t received_batches, received_rows; /* decoded and handed to the sink */
  int64_t batches, rows;                   /* durable, where the sink is */
  int64_t version;                         /* of the table; -1: not counted */
  bool resumed; /* an earlier stream of its token has landed some of it */
};

struct intake_options {
  struct workers *workers;
  struct budget *budget; /* that the messages are charged to */
  struct ipc_limits limits;
  struct pipeline_target target; /* `sink` NULL: open_sink finds it */
  bool each_batch; /* every record batch is a transaction of its own (not when it overwrites) */
  /* Commits whenever so many rows or bytes (0: not by bytes) have come since the last commit, or
   * intake_commit is called; rows 0: once, at the end. Not when it overwrites or refuses duplicate
   * keys, which a part alone would not show. With a token the stream goes on where earlier ones of
   * that token have ended: rows that have landed are skipped; with `resume` the client has left them
   * out. `offset` is called on a worker after each commit, and, with a token, once before the first
   * batch; it must only pass the word on. */
  struct intake_watermark {
    int64_t rows, bytes;
  } watermark;
  bool resume;
  void (*offset)(void *context, const struct intake_offset *offset);
  /* Where it queues when it is a small append; NULL: it is always a load by itself. Nothing of it is
   * decoded then until it is whole, too large, or intake_start is called. */
  struct groups *groups;
  const char *backend; /* with the table, the place for which loads queue */
  struct group_limits group_limits;
  /* Called on a worker when the schema has come, if the target has no sink yet. */
  enum status (*open_sink)(void *context, struct sink **sink, struct error *error);
  int64_t queue_bytes_max; /* more waiting than this and the intake is full */
  /* Both are called on a worker and must only pass the word on. `space` when a full
   * intake has room again; `done` exactly once, as the last call of all, when the
   * load is committed, has failed or was cancelled; with `more` others are told at once behind it,
   * so that whom it wakes may be woken by the last of them. */
  void (*space)(void *context);
  void (*done)(void *context, bool more);
  void *context;
};

enum status intake_new(const struct intake_options *options, struct intake **intake,
                       struct error *error) WARN_UNUSED;

/* The next message of the stream; always takes it over. Never blocks. */
void intake_push(struct intake *intake, struct ipc_message *message);
/* True: push no more until `space`. What is pushed all the same is taken. */
bool intake_full(struct intake *intake);
/* It takes its time to come: what is there is worked on, and it will be a load by itself. */
void intake_start(struct intake *intake);
/* Commits what was pushed until now, where it commits on the way, as soon as it is worked on. */
void intake_commit(struct intake *intake);
/* The stream is whole: commit. */
void intake_end(struct intake *intake);
/* The stream will never be whole: nothing of it may remain. After intake_end it is
 * too late when the commit has begun; the outcome then is what the commit says. */
void intake_cancel(struct intake *intake);
/* Asks for memory back: what the sink has collected is handed on to its destination. */
void intake_relieve(struct intake *intake);

/* After `done`: the outcome. `result` is the intake's. */
enum status intake_result(const struct intake *intake, struct load_result *result,
                          struct error *error) WARN_UNUSED;
/* After `done`: what it came to, failed or not. */
struct intake_figures {
  const char *backend;    /* the sink's name; NULL: no load was begun */
  int64_t memory_bytes;   /* of the record batches that were appended, expanded */
  int64_t transaction_us; /* from the load's beginning to its commit or its end without one */
  bool each_batch;        /* it was committed on the way */
  int64_t commits;        /* that it took so far, with what they hold, also when it failed later */
  int64_t committed_rows, committed_batches;
  bool skipped; /* its schema does not fit under SCHEMA_SKIP: it was read to its end and dropped */
  int64_t skipped_rows, skipped_batches;
};
void intake_figures(const struct intake *intake, struct intake_figures *figures);
/* Bytes that wait to be decoded; from any thread. */
int64_t intake_queued_bytes(struct intake *intake);
/* Only after `done`, or before anything was pushed or said. NULL is allowed. */
void intake_free(struct intake *intake);

#endif
