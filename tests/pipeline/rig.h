/* What the tests of the pipeline push, and a sink that records what reaches it. */
#ifndef ARROWPORT_TESTS_PIPELINE_RIG_H
#define ARROWPORT_TESTS_PIPELINE_RIG_H

#include <pthread.h>

#include "pipeline/pipeline.h"

/* Charged for every stream, message and batch. */
extern struct budget rig_budget;

/* ---- streams ----------------------------------------------------------------------------- */

enum rig_columns {
  RIG_PLAIN, /* id int64 */
  RIG_OTHER, /* id int64, more int64 */
  RIG_WORDS  /* id int64, word: a dictionary of one word, the id as text */
};

/* Batches of rows whose ids count up from `first`. */
struct rig_stream {
  int64_t first;
  int batches;
  int64_t rows;
  enum rig_columns columns;
};

/* Appends the stream to `out`. */
void rig_write(const struct rig_stream *stream, struct buffer *out);
/* Every message of the stream into the intake. */
void rig_push(struct intake *intake, const struct buffer *stream);
/* The first `count` messages only. */
void rig_push_some(struct intake *intake, const struct buffer *stream, int count);
/* Those behind the first `skipped`. */
void rig_push_after(struct intake *intake, const struct buffer *stream, int skipped);
/* A message that is none. */
void rig_push_garbage(struct intake *intake);

/* ---- a sink ------------------------------------------------------------------------------- */

enum { RIG_ROUNDS_MAX = 256, RIG_IDS_MAX = 1 << 16, RIG_TOKENS_MAX = 64 };

/* Behind `lock` but for what a test sets before anything runs. */
struct rig_sink {
  struct sink sink;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  /* what it does */
  bool shut;           /* a land that begins waits until it is not */
  int land_ms;         /* so long takes each */
  int64_t guilty;      /* the load that begins with this id ends with `verdict`; 0: none */
  enum status verdict; /* STATUS_UNKNOWN: and its rows are in when `lookup_found` says so */
  bool schema_refused;
  enum status lookup_status;
  bool lookup_found;
  /* what it has seen */
  int begun, aborted, committed, lands, lookups;
  struct rig_round {
    struct table_name table;
    enum schema_policy policy;
    int64_t parcels, rows;
  } rounds[RIG_ROUNDS_MAX];
  int64_t ids[RIG_IDS_MAX];
  int64_t id_count; /* of loads that landed, in order */
  char words_wrong; /* a word that was not its id */
  char tokens[RIG_TOKENS_MAX][64];
  int token_count;
};

/* Its name, as the backend's, is "rig". */
void rig_sink_init(struct rig_sink *sink);
void rig_sink_open_gate(struct rig_sink *sink);
/* Until so many lands have begun. */
void rig_sink_wait_lands(struct rig_sink *sink, int lands);

#endif
