/* Reads a body with server/stream_json.h in pieces: for its tests and its fuzz target. */
#ifndef ARROWPORT_TESTS_SERVER_STREAM_JSON_READ_H
#define ARROWPORT_TESTS_SERVER_STREAM_JSON_READ_H

#include <stdlib.h>
#include <string.h>

#include "server/stream_json.h"

struct stream_json_read {
  enum status status;
  struct error error;
  struct text config;
  struct buffer schema, data;
  char events[8]; /* "cSd": in which order the members became whole */
};

/* In pieces of `step` bytes, data into pieces of `room` bytes. */
static inline void stream_json_read(const uint8_t *body, size_t bytes, size_t step, size_t room,
                                    struct budget *budget, struct stream_json_read *read) {
  static struct budget data_budget = {.limit_bytes = 1 << 30};
  struct stream_json *json;
  uint8_t *out = malloc(room);
  size_t count = 0;
  memset(read, 0, sizeof *read);
  read->status = stream_json_new(budget, &json, &read->error);
  for (size_t at = 0; at < bytes && read->status == STATUS_OK;) {
    size_t piece = bytes - at < step ? bytes - at : step;
    uint8_t *copy = malloc(piece); /* so that a sanitizer sees its end */
    memcpy(copy, body + at, piece);
    for (size_t done = 0; done < piece && read->status == STATUS_OK;) {
      int64_t used = 0, made = 0;
      enum stream_json_event event;
      int64_t given = stream_json_in_data(json) ? (int64_t)room : 0;
      read->status = stream_json_feed(json, copy + done, (int64_t)(piece - done), &used,
                                      given > 0 ? out : NULL, given, &made, &event, &read->error);
      if (made > 0) {
        if (made > given) abort();
        if (buffer_append(&read->data, &data_budget, out, made, NULL) != STATUS_OK) abort();
      }
      done += (size_t)used;
      if (read->status != STATUS_OK) break;
      if (event == STREAM_JSON_CONFIG) read->events[count++] = 'c';
      if (event == STREAM_JSON_SCHEMA) read->events[count++] = 's';
      if (event == STREAM_JSON_DATA) read->events[count++] = 'd';
      if (event == STREAM_JSON_ROOM && given > 0 && made == 0) abort(); /* it would not end */
      if (event == STREAM_JSON_MORE && done < piece) abort();
    }
    free(copy);
    at += piece;
  }
  if (read->status == STATUS_OK) read->status = stream_json_finish(json, &read->error);
  if (read->status == STATUS_OK) {
    const struct text *config = stream_json_config(json);
    if (text_add_bytes(&read->config, config->data, config->size_bytes, NULL) != STATUS_OK) abort();
    read->schema = buffer_share(stream_json_schema(json));
  }
  stream_json_free(json);
  free(out);
}

static inline void stream_json_read_release(struct stream_json_read *read) {
  text_release(&read->config);
  buffer_release(&read->schema);
  buffer_release(&read->data);
}

#endif
