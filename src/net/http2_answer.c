/* The sending side of a request: what an exchange asks of HTTP/2 (HTTP2_PROTOCOL), and the DATA
 * frames that nghttp2 has made of it.
 *
 * Buffers of http_write are queued in their stream as they are. nghttp2 asks how much may be
 * sent (http2_on_read_length, on_read) and has it sent (http2_on_send_data): the frame's head is
 * written, and slices of the buffers go to the owner behind it, without a copy.
 *
 * Invariant: bytes leave the queue only in http2_on_send_data. nghttp2 may drop a frame between
 * asking and sending (its stream was reset). */
#include "net/http2_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OWN_FIELDS = 3 }; /* :status, date, content-length */

static struct http2_stream *stream_of(const struct http_exchange *exchange) {
  return (struct http2_stream *)(uintptr_t)exchange; /* its first member */
}

void http2_stream_reset(struct http2_stream *stream, uint32_t code) {
  struct http2 *http2 = stream->http2;
  if (stream->closed || stream->resetting) return;
  stream->resetting = true;
  (void)nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, stream->id, code);
  http2_soon(http2);
}

/* ---- heads -------------------------------------------------------------------------------- */

void http2_block_release(struct http2_block *block) {
  free(block->fields);
  text_release(&block->text);
  *block = (struct http2_block){0};
}

/* HTTP/1.1's connections; in HTTP/2 a field of that name breaks the answer (RFC 9113, 8.2.2). */
static bool is_of_connection(const char *name) {
  static const char *const names[] = {"connection", "keep-alive",        "proxy-connection",
                                      "upgrade",    "transfer-encoding", "content-length"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcasecmp(name, names[i]) == 0) return true;
  return false;
}

static enum status add_field(struct http2_block *head, const char *name, const char *value) {
  struct text *text = &head->text;
  size_t from = text->size_bytes;
  size_t name_bytes = strlen(name);
  size_t value_bytes = strlen(value);
  enum status status = text_add_bytes(text, name, name_bytes, NULL);
  if (status == STATUS_OK) status = text_add_bytes(text, value, value_bytes, NULL);
  if (status != STATUS_OK) return status;
  for (size_t i = from; i < text->size_bytes; i++) {
    unsigned char byte = (unsigned char)text->data[i];
    if (i < from + name_bytes && byte >= 'A' && byte <= 'Z') text->data[i] = (char)(byte + 32);
    /* A value with a line break in it would be another field for whoever passes it on. */
    if (byte < 0x20 || byte == 0x7f) text->data[i] = ' ';
  }
  head->fields[head->count++] =
      (nghttp2_nv){.namelen = name_bytes, .valuelen = value_bytes, .flags = NGHTTP2_NV_FLAG_NONE};
  return STATUS_OK;
}

static const char *date_now(struct http2 *http2) {
  time_t now = time(NULL);
  if (now != http2->date_s) {
    struct tm parts;
    gmtime_r(&now, &parts);
    (void)strftime(http2->date, sizeof http2->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    http2->date_s = now;
  }
  return http2->date;
}

/* All texts are in place: their memory does not move any more. */
static void point_fields(struct http2_block *head) {
  uint8_t *at = (uint8_t *)head->text.data;
  for (size_t i = 0; i < head->count; i++) {
    nghttp2_nv *field = &head->fields[i];
    field->name = at;
    at += field->namelen;
    field->value = at;
    at += field->valuelen;
  }
}

static enum status add_fields(struct http2_block *head, const struct http_header *headers,
                              size_t header_count) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < header_count && status == STATUS_OK; i++)
    if (!is_of_connection(headers[i].name))
      status = add_field(head, headers[i].name, headers[i].value);
  return status;
}

/* body_bytes -1: not known, or not told. */
static enum status make_head(struct http2_stream *stream, int code,
                             const struct http_header *headers, size_t header_count,
                             int64_t body_bytes, struct http2_block *head) {
  const struct http_exchange *exchange = &stream->exchange;
  char number[24];
  size_t count = OWN_FIELDS + header_count + exchange->answer_header_count;
  head->fields = calloc(count, sizeof *head->fields);
  if (head->fields == NULL) return STATUS_NOMEM;
  (void)snprintf(number, sizeof number, "%d", code);
  enum status status = add_field(head, ":status", number);
  if (status == STATUS_OK) status = add_field(head, "date", date_now(stream->http2));
  (void)snprintf(number, sizeof number, "%lld", (long long)body_bytes);
  if (status == STATUS_OK && body_bytes >= 0 && code != 204)
    status = add_field(head, "content-length", number);
  if (status == STATUS_OK) status = add_fields(head, headers, header_count);
  if (status == STATUS_OK)
    status = add_fields(head, exchange->answer_headers, exchange->answer_header_count);
  if (status == STATUS_OK) point_fields(head);
  return status;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t room_bytes,
                       uint32_t *flags, nghttp2_data_source *source, void *context);

/* HEADERS; with `data`, what is queued then and later follows. */
static void submit(struct http2_stream *stream, int code, const struct http_header *headers,
                   size_t header_count, int64_t body_bytes, bool data) {
  struct http2 *http2 = stream->http2;
  struct http2_block head = {0};
  nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = on_read};
  int failed = NGHTTP2_ERR_NOMEM;
  if (stream->closed || stream->resetting) return;
  if (make_head(stream, code, headers, header_count, body_bytes, &head) == STATUS_OK)
    failed = nghttp2_submit_response(http2->session, stream->id, head.fields, head.count,
                                     data ? &provider : NULL);
  http2_block_release(&head);
  stream->started = true;
  if (failed != 0) http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
  http2_soon(http2);
}

/* ---- what is queued -------------------------------------------------------------------------- */

/* Takes `data` over. False: no memory. */
static bool queue(struct http2_stream *stream, struct buffer *data) {
  struct http2_piece *piece = malloc(sizeof *piece);
  if (piece == NULL) {
    buffer_release(data);
    return false;
  }
  *piece = (struct http2_piece){.data = *data};
  *data = BUFFER_EMPTY;
  if (stream->last_piece != NULL)
    stream->last_piece->next = piece;
  else
    stream->first_piece = piece;
  stream->last_piece = piece;
  if (stream->queued_bytes == 0) stream->http2->sending_count++;
  stream->queued_bytes += piece->data.size_bytes;
  return true;
}

static void drop_first_piece(struct http2_stream *stream) {
  struct http2_piece *piece = stream->first_piece;
  stream->first_piece = piece->next;
  if (piece->next == NULL) stream->last_piece = NULL;
  buffer_release(&piece->data);
  free(piece);
}

void http2_drop_pieces(struct http2_stream *stream) {
  if (stream->queued_bytes > 0) stream->http2->sending_count--;
  stream->queued_bytes = 0;
  while (stream->first_piece != NULL) drop_first_piece(stream);
}

static void resume(struct http2_stream *stream) {
  if (stream->closed || stream->resetting) return;
  /* Fails when nothing is deferred: then it is asked for anyway. */
  (void)nghttp2_session_resume_data(stream->http2->session, stream->id);
  http2_soon(stream->http2);
}

/* ---- frames ------------------------------------------------------------------------------------ */

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t room_bytes,
                       uint32_t *flags, nghttp2_data_source *source, void *context) {
  struct http2_stream *stream = source->ptr;
  (void)room;
  (void)context;
  if (stream->queued_bytes == 0 && !stream->whole) return NGHTTP2_ERR_DEFERRED;
  int64_t bytes = stream->queued_bytes;
  if (bytes > (int64_t)room_bytes) bytes = (int64_t)room_bytes;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!stream->whole || bytes < stream->queued_bytes) return (ssize_t)bytes;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream->trailers.fields == NULL) return (ssize_t)bytes;
  /* They are queued behind this frame; where they cannot be, the client sees the stream break. */
  *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  int failed = nghttp2_submit_trailer(session, id, stream->trailers.fields, stream->trailers.count);
  if (failed != 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets it */
  http2_block_release(&stream->trailers);
  return (ssize_t)bytes;
}

ssize_t http2_on_read_length(nghttp2_session *session, uint8_t type, int32_t id,
                             int32_t session_window, int32_t stream_window, uint32_t frame_max,
                             void *context) {
  struct http2 *http2 = context;
  const struct http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
  (void)type;
  int64_t bytes = http2->sending_count > 1 ? HTTP2_FAIR_FRAME_BYTES : HTTP2_FRAME_BYTES_MAX;
  if (bytes > session_window) bytes = session_window;
  if (bytes > stream_window) bytes = stream_window;
  if (bytes > (int64_t)frame_max) bytes = (int64_t)frame_max;
  /* nghttp2 makes room for as many, although it is not used. */
  if (stream != NULL && bytes > stream->queued_bytes) bytes = stream->queued_bytes;
  return (ssize_t)(bytes < 1 ? 1 : bytes);
}

/* The next piece, or as much of it as there are `bytes`, to the owner. */
static enum status send_piece(struct http2_stream *stream, int64_t *bytes) {
  struct http2 *http2 = stream->http2;
  struct http2_piece *piece = stream->first_piece;
  int64_t left = piece->data.size_bytes - piece->sent_bytes;
  int64_t now = left < *bytes ? left : *bytes;
  if (now <= HTTP2_COPY_BYTES_MAX) {
    enum status status =
        text_add_bytes(&http2->out, piece->data.data + piece->sent_bytes, (size_t)now, NULL);
    if (status != STATUS_OK) return status;
  } else {
    struct buffer slice = buffer_slice(&piece->data, piece->sent_bytes, now);
    http2_flush(http2, &slice);
  }
  piece->sent_bytes += now;
  *bytes -= now;
  if (now == left) drop_first_piece(stream);
  return STATUS_OK;
}

int http2_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                       size_t bytes, nghttp2_data_source *source, void *context) {
  struct http2 *http2 = context;
  struct http2_stream *stream = source->ptr;
  (void)session;
  (void)frame;
  if (http2_is_blocked(http2)) return NGHTTP2_ERR_WOULDBLOCK;
  int64_t left = (int64_t)bytes;
  assert(left <= stream->queued_bytes);
  if (text_add_bytes(&http2->out, head, HTTP2_FRAME_HEAD_BYTES, NULL) != STATUS_OK)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  while (left > 0)
    if (send_piece(stream, &left) != STATUS_OK) return NGHTTP2_ERR_CALLBACK_FAILURE;
  stream->queued_bytes -= (int64_t)bytes;
  stream->sent_bytes += (int64_t)bytes;
  if (bytes > 0 && stream->queued_bytes == 0) http2->sending_count--;
  http2_limits_moved(&http2->limits, (int64_t)bytes);
  if (bytes > 0) http2_limits_sent(&http2->limits);
  if (http2->out.size_bytes >= HTTP2_COLLECT_BYTES) http2_flush(http2, NULL);
  if (stream->exchange.blocked) http2->changed = true; /* perhaps writable now */
  return 0;
}

/* ---- what an exchange asks ------------------------------------------------------------------------ */

static void body_changed(struct http_exchange *exchange) {
  struct http2_stream *stream = stream_of(exchange);
  bool awaited = exchange->body == BODY_TAKEN && exchange->answer == ANSWER_NONE && !stream->ended;
  if (!stream->continued && awaited && !stream->closed && !stream->resetting) {
    nghttp2_nv field = {.name = (uint8_t *)(uintptr_t) ":status",
                        .value = (uint8_t *)(uintptr_t) "100",
                        .namelen = 7,
                        .valuelen = 3};
    stream->continued = true;
    (void)nghttp2_submit_headers(stream->http2->session, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                 &field, 1, NULL);
  }
  http2_soon(stream->http2);
}

static void respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                    size_t header_count, const void *body, size_t body_bytes) {
  struct http2_stream *stream = stream_of(exchange);
  bool data = body_bytes > 0 && !exchange->without_body;
  stream->whole = true;
  if (data && !stream->closed) {
    struct buffer copy = BUFFER_EMPTY;
    void *memory = malloc(body_bytes);
    if (memory != NULL) memcpy(memory, body, body_bytes);
    if (memory != NULL &&
        buffer_wrap(&copy, memory, (int64_t)body_bytes, free, memory, NULL) != STATUS_OK) {
      free(memory);
      memory = NULL;
    }
    if (memory == NULL || !queue(stream, &copy)) {
      http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
      return;
    }
  }
  submit(stream, code, headers, header_count, (int64_t)body_bytes, data);
}

static void start(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count) {
  submit(stream_of(exchange), code, headers, header_count, -1, true);
}

static void write_data(struct http_exchange *exchange, struct buffer *data) {
  struct http2_stream *stream = stream_of(exchange);
  if (stream->closed || stream->resetting) {
    buffer_release(data);
    return;
  }
  if (queue(stream, data))
    resume(stream);
  else
    http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
}

static bool writable(const struct http_exchange *exchange) {
  const struct http2_stream *stream = stream_of(exchange);
  return stream->queued_bytes < stream->http2->options.write_bytes_high;
}

static void end(struct http_exchange *exchange) {
  struct http2_stream *stream = stream_of(exchange);
  stream->whole = true;
  resume(stream);
}

static void end_trailers(struct http_exchange *exchange, const struct http_header *trailers,
                         size_t trailer_count) {
  struct http2_stream *stream = stream_of(exchange);
  struct http2_block *block = &stream->trailers;
  stream->whole = true;
  stream->cut = true;
  if (exchange->answer == ANSWER_NONE) {
    submit(stream, exchange->code, trailers, trailer_count, -1, false);
    return;
  }
  enum status status = STATUS_NOMEM;
  block->fields = calloc(trailer_count, sizeof *block->fields);
  if (block->fields != NULL) status = add_fields(block, trailers, trailer_count);
  if (status != STATUS_OK) {
    http2_block_release(block);
    http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return;
  }
  point_fields(block);
  resume(stream);
}

static void abort_answer(struct http_exchange *exchange) {
  struct http2_stream *stream = stream_of(exchange);
  http2_stream_reset(stream,
                     NGHTTP2_INTERNAL_ERROR); /* a frame may be half way: nothing is freed */
}

const struct http_protocol HTTP2_PROTOCOL = {
    .name = "HTTP/2",
    .body_changed = body_changed,
    .respond = respond,
    .start = start,
    .write = write_data,
    .writable = writable,
    .end = end,
    .end_trailers = end_trailers,
    .abort = abort_answer,
};
