/* Offsets come from a worker, one for each commit; notes (the client's app_metadata) from the loop, each
 * with the number of batches that had come with it. A note is told with the first offset that has reached
 * its number.
 *
 * A stream that resumes counts its batches from where the last one has ended, which the first offset
 * says; notes count those that came: `base` is the difference.
 *
 * 1. What a client can make wait here is bounded: notes by NOTES_BYTES_MAX, offsets, which wait while it
 *    reads nothing, by OFFSETS_MAX: the last of them is put right then. */
#include "server/flight_acks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "server/ingest.h"

enum {
  NOTES_BYTES_MAX =
      16 << 20, /* of app_metadata that waits for its commit, for one acknowledgement */
  OFFSETS_MAX = 1024,
};

struct waiting_offset {
  struct waiting_offset *next;
  struct intake_offset offset;
};

struct note {
  struct note *next;
  int64_t batches;
  struct buffer metadata;
};

struct flight_acks {
  pthread_mutex_t lock;
  struct waiting_offset *first, *newest; /* under the lock */
  int waiting;
  /* the loop's */
  struct note *first_note, **last_note;
  int64_t note_bytes;
  int64_t base; /* batches that an earlier stream has landed, and this one has left out */
  struct intake_offset told;
  bool has_told;
};

enum status flight_acks_new(struct flight_acks **acks, struct error *error) {
  *acks = calloc(1, sizeof **acks);
  if (*acks == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  pthread_mutex_init(&(*acks)->lock, NULL);
  (*acks)->last_note = &(*acks)->first_note;
  return STATUS_OK;
}

/* What it takes of the limit: one without a byte takes memory, too. */
static int64_t note_bytes(const struct buffer *metadata) {
  return metadata->size_bytes + (int64_t)sizeof(struct note);
}

static void drop_note(struct flight_acks *acks) {
  struct note *note = acks->first_note;
  acks->note_bytes -= note_bytes(&note->metadata);
  acks->first_note = note->next;
  if (note->next == NULL) acks->last_note = &acks->first_note;
  buffer_release(&note->metadata);
  free(note);
}

void flight_acks_free(struct flight_acks *acks) {
  if (acks == NULL) return;
  while (acks->first != NULL) {
    struct waiting_offset *offset = acks->first;
    acks->first = offset->next;
    free(offset);
  }
  while (acks->first_note != NULL) drop_note(acks);
  pthread_mutex_destroy(&acks->lock);
  free(acks);
}

enum status flight_acks_note(struct flight_acks *acks, int64_t batches, struct buffer *metadata,
                             struct error *error) {
  if (acks->note_bytes + note_bytes(metadata) > NOTES_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "more than %d MiB of app_metadata wait for their commit: send less of it, or "
                     "let the stream commit more often",
                     NOTES_BYTES_MAX >> 20);
  struct note *note = malloc(sizeof *note);
  if (note == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  *note = (struct note){.batches = batches, .metadata = *metadata};
  *metadata = BUFFER_EMPTY;
  acks->note_bytes += note_bytes(&note->metadata);
  *acks->last_note = note;
  acks->last_note = &note->next;
  return STATUS_OK;
}

void flight_acks_offset(struct flight_acks *acks, const struct intake_offset *offset) {
  struct waiting_offset *made = malloc(sizeof *made);
  pthread_mutex_lock(&acks->lock);
  if (made != NULL && acks->waiting < OFFSETS_MAX) {
    *made = (struct waiting_offset){.offset = *offset};
    if (acks->first == NULL)
      acks->first = made;
    else
      acks->newest->next = made;
    acks->newest = made;
    acks->waiting++;
    made = NULL;
  } else if (acks->waiting > 1) { /* the first may say where the stream goes on */
    acks->newest->offset = *offset;
  }
  pthread_mutex_unlock(&acks->lock);
  free(made);
}

static bool take_offset(struct flight_acks *acks, struct intake_offset *offset) {
  pthread_mutex_lock(&acks->lock);
  struct waiting_offset *waiting = acks->first;
  if (waiting != NULL) {
    acks->first = waiting->next;
    acks->waiting--;
  }
  pthread_mutex_unlock(&acks->lock);
  if (waiting == NULL) return false;
  *offset = waiting->offset;
  free(waiting);
  /* The first one, before any batch: what an earlier stream has landed. */
  if (!acks->has_told && offset->received_batches > 0 && offset->resumed)
    acks->base = offset->received_batches;
  acks->has_told = true;
  return true;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static enum status add_base64(struct text *json, const struct buffer *bytes, struct error *error) {
  enum { TAKEN_BYTES = 3 * 64, MADE_BYTES = 4 * 64 }; /* a step */
  uint8_t piece[MADE_BYTES + 1];
  enum status status = text_add(json, "\"", error);
  for (int64_t at = 0; at < bytes->size_bytes && status == STATUS_OK; at += TAKEN_BYTES) {
    int64_t left = bytes->size_bytes - at;
    int taken = left < TAKEN_BYTES ? (int)left : TAKEN_BYTES;
    int length = EVP_EncodeBlock(piece, bytes->data + at, taken);
    status = text_add_bytes(json, piece, (size_t)length, error);
  }
  return status == STATUS_OK ? text_add(json, "\"", error) : status;
}

/* The notes that are reached; `all`: every one. */
static enum status add_notes(struct flight_acks *acks, int64_t batches, bool all, struct text *json,
                             struct error *error) {
  enum status status = STATUS_OK;
  bool any = false;
  while (acks->first_note != NULL && status == STATUS_OK &&
         (all || acks->first_note->batches + acks->base <= batches)) {
    status = text_add(json, any ? "," : ",\"app_metadata\":[", error);
    if (status == STATUS_OK) status = add_base64(json, &acks->first_note->metadata, error);
    drop_note(acks);
    any = true;
  }
  return any && status == STATUS_OK ? text_add(json, "]", error) : status;
}

static enum status print(struct flight_acks *acks, const struct flight_acks_about *about,
                         const struct intake_offset *offset, const struct load_result *result,
                         struct text *json, struct error *error) {
  enum status status = text_add(json, "{\"stream\":", error);
  if (status == STATUS_OK)
    status = text_add_json(json, about->stream, strlen(about->stream), error);
  if (status == STATUS_OK) status = text_add(json, ",\"table\":", error);
  if (status == STATUS_OK) status = text_add_json(json, about->table, strlen(about->table), error);
  if (status == STATUS_OK)
    status = text_add_format(json, error,
                             ",\"received\":{\"batches\":%lld,\"rows\":%lld},"
                             "\"committed\":{\"batches\":%lld,\"rows\":%lld},\"durable\":%s",
                             (long long)offset->received_batches, (long long)offset->received_rows,
                             (long long)offset->batches, (long long)offset->rows,
                             about->durable ? "true" : "false");
  if (status == STATUS_OK && offset->version >= 0)
    status = text_add_format(json, error, ",\"version\":%lld", (long long)offset->version);
  if (status == STATUS_OK && offset->resumed) status = text_add(json, ",\"resumed\":true", error);
  if (status == STATUS_OK && result != NULL && result->repeated)
    status = text_add(json, ",\"repeated\":true", error);
  if (status == STATUS_OK && result != NULL && result->changes != NULL)
    status = ingest_add_changes(result->changes, json, error);
  if (status == STATUS_OK) status = add_notes(acks, offset->batches, result != NULL, json, error);
  return status == STATUS_OK ? text_add(json, "}", error) : status;
}

bool flight_acks_next(struct flight_acks *acks, const struct flight_acks_about *about, bool all,
                      struct text *json) {
  struct intake_offset offset;
  text_clear(json);
  if (!take_offset(acks, &offset)) return false;
  while (all && take_offset(acks, &offset)) continue;
  if (print(acks, about, &offset, NULL, json, NULL) != STATUS_OK) return false;
  acks->told = offset;
  return true;
}

bool flight_acks_last(struct flight_acks *acks, const struct flight_acks_about *about,
                      const struct load_result *result, struct text *json) {
  text_clear(json);
  bool known = acks->has_told && acks->told.rows == result->rows &&
               acks->told.batches == result->batches && acks->first_note == NULL &&
               result->changes == NULL && !result->repeated;
  if (known) return false;
  struct intake_offset offset = {.received_batches = result->batches,
                                 .received_rows = result->rows,
                                 .batches = result->batches,
                                 .rows = result->rows,
                                 .version = result->version,
                                 .resumed = acks->told.resumed};
  return print(acks, about, &offset, result, json, NULL) == STATUS_OK;
}
