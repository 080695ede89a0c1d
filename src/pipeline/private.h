/* What the files of the pipeline share among themselves. */
#ifndef ARROWPORT_PIPELINE_PRIVATE_H
#define ARROWPORT_PIPELINE_PRIVATE_H

#include <pthread.h>

#include "pipeline/pipeline.h"

/* A message that waits to be decoded. */
struct queued_message {
  struct ipc_message message;
  struct queued_message *next;
};

enum { PART_TOKEN_BYTES = SINK_TOKEN_BYTES_MAX + 1 };

/* Who works on an intake: see intake.c. */
enum intake_state { INTAKE_HELD, INTAKE_STARTED, INTAKE_GROUPED, INTAKE_DONE };

struct intake {
  struct intake_options options;
  struct task task;

  pthread_mutex_t lock;
  enum intake_state state;
  struct queued_message *first;
  struct queued_message **last;
  int64_t queued_bytes;
  bool was_full; /* somebody waits for `space` */
  bool ended;
  bool cancelled;
  bool relieve;
  int64_t pushed, taken;   /* messages, in all */
  int64_t commit_at;       /* when so many are taken; 0: not asked for */
  enum status push_status; /* a push that found no memory for the queue */

  /* of whoever works on it */
  struct ipc_decoder *decoder;
  struct load *load;
  struct load_result result;
  struct intake_figures figures;
  int64_t began_us; /* the load */
  bool skipping;    /* the schema does not fit: what comes is counted */
  /* of one that commits on the way (watermark.c) */
  struct intake_offset offset;
  char first_token[PART_TOKEN_BYTES]; /* of its first part; "": it has none */
  int64_t part_number;
  int64_t part_rows, part_bytes, part_batches; /* appended and not committed */
  int64_t skip_rows;                           /* that an earlier stream of the token has landed */
  enum status status;
  struct error error;
  struct intake *next_in_group;
};

/* Into INTAKE_DONE, with that outcome. Nothing of the intake may be touched after it. */
void intake_finish(struct intake *intake, enum status status, bool more);
/* From INTAKE_GROUPED, with nothing taken, back to its own task. */
void intake_work_alone(struct intake *intake);
/* Takes the messages that wait, in order. `*cancelled`: nothing is to be done with them. */
struct queued_message *intake_take_all(struct intake *intake, bool *cancelled);
void queued_messages_free(struct queued_message *message);

/* Whether a failed commit that did not say has landed after all: looked up by its token. */
enum status settle_unknown(enum status status, const struct pipeline_target *target,
                           const char *token, struct load_result *result, struct error *error);

/* The end of an intake whose schema did not fit and whose rows were counted. */
enum status intake_skipped(struct intake *intake) WARN_UNUSED;

/* ---- batches.c: a load that commits each of its batches --------------------------- */

/* Lands one batch, which it takes. */
enum status intake_land_batch(struct intake *intake, struct ArrowArray *batch) WARN_UNUSED;
/* The stream is over: makes the table when no batch has come, and fills in the result. */
enum status intake_land_end(struct intake *intake) WARN_UNUSED;

/* ---- watermark.c: a load that commits on the way ------------------------------------ */

/* The token of part `number` of a load; NULL without a token. `text` has PART_TOKEN_BYTES. */
const char *part_token(const char *token, int64_t number, char *text, size_t bytes);

bool intake_is_watermarked(const struct intake *intake);
/* The sink is there: how far earlier streams of the token have got. */
enum status intake_find_offset(struct intake *intake) WARN_UNUSED;
enum status intake_begin_part(struct intake *intake) WARN_UNUSED;
/* Takes the batch, on STATUS_OK, and commits if enough has come. */
enum status intake_land_part(struct intake *intake, struct ArrowArray *batch) WARN_UNUSED;
enum status intake_commit_part(struct intake *intake) WARN_UNUSED;
/* The stream is over: commits what is left, and fills in the result. */
enum status intake_land_rest(struct intake *intake) WARN_UNUSED;

/* ---- group.c ------------------------------------------------------------------------ */

/* Queues an intake that is whole, in INTAKE_GROUPED. False: there is no memory for it, and it is to
 * work by itself. */
bool group_put(struct intake *intake);

/* ---- unpack.c: streams that are there whole ------------------------------------------ */

/* Decoders that are kept from stream to stream: most streams of one table begin with the same schema
 * message, byte by byte. Used by one thread at a time. */
struct unpacker;
struct unpacker *unpacker_new(void); /* NULL without memory */
void unpacker_free(struct unpacker *unpacker);
/* What was unpacked before is no longer used. */
void unpacker_turn(struct unpacker *unpacker);

/* Decodes all that the intake holds. `parcel->schema` is the unpacker's until its next turn, or the
 * intake's; `parcel->batches` is malloc'd and the caller's, as are the batches in it. */
enum status unpack(struct unpacker *unpacker, struct intake *intake, struct parcel *parcel,
                   struct error *error) WARN_UNUSED;

#endif
