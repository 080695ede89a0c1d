#include "net/parser_trace.h"

#include <stdlib.h>
#include <string.h>

static void check(enum status status) {
  if (status != STATUS_OK) abort(); /* no memory */
}

static void trace_head(const struct http_head *head, struct text *trace) {
  const struct http_request *request = &head->request;
  check(text_add_format(trace, NULL, "%s %s path=%s query=%s host=%s", request->method,
                        request->target, request->path, request->query, request->host));
  for (size_t i = 0; i < request->header_count; i++)
    check(text_add_format(trace, NULL, " {%s=%s}", request->headers[i].name,
                          request->headers[i].value));
  check(text_add_format(trace, NULL, " body=%lld%s%s%s\n", (long long)request->body_bytes,
                        head->keep_alive ? " keep" : "", head->expects_continue ? " continue" : "",
                        head->expects_unknown ? " expects" : ""));
}

/* One piece. False after an error. `in_body`: a bracket is open. */
static bool trace_piece(struct http_parser *parser, const uint8_t *data, size_t bytes,
                        bool *in_body, struct text *trace) {
  for (;;) {
    size_t used = 0;
    enum http_event event;
    struct error error = {0};
    enum status status = http_parser_feed(parser, data, bytes, &used, &event, &error);
    data += used;
    bytes -= used;
    if (status != STATUS_OK) {
      check(text_add_format(trace, NULL, "%s%d %s: %s\n", *in_body ? "]\n" : "",
                            http_parser_code(parser), status_name(status), error.text));
      return false;
    }
    if (event == HTTP_EVENT_MORE) return true;
    if (event == HTTP_EVENT_HEAD) {
      struct http_head head;
      http_parser_take_head(parser, &head);
      trace_head(&head, trace);
      http_head_release(&head);
      check(text_add(trace, "[", NULL));
      *in_body = true;
    } else if (event == HTTP_EVENT_BODY) {
      int64_t room = http_parser_body_room(parser);
      size_t taken = room < (int64_t)bytes ? (size_t)room : bytes;
      if (taken == 0) return true;
      check(text_add_bytes(trace, data, taken, NULL));
      http_parser_body_took(parser, (int64_t)taken);
      data += taken;
      bytes -= taken;
    } else {
      check(text_add(trace, "]\n", NULL));
      *in_body = false;
      http_parser_reset(parser);
      if (bytes == 0) return true;
    }
  }
}

void parser_trace(const struct http_parser_limits *limits, const uint8_t *data, size_t bytes,
                  size_t first_bytes, size_t piece_bytes, struct text *trace) {
  struct http_parser parser;
  http_parser_init(&parser, limits);
  bool in_body = false;
  size_t piece = first_bytes > 0 ? first_bytes : piece_bytes;
  bool good = true;
  for (size_t at = 0; at < bytes && good;) {
    if (piece == 0 || piece > bytes - at) piece = bytes - at;
    good = trace_piece(&parser, data + at, piece, &in_body, trace);
    at += piece;
    piece = piece_bytes;
  }
  if (good) check(text_add(trace, http_parser_idle(&parser) ? "idle\n" : "more\n", NULL));
  http_parser_release(&parser);
}
