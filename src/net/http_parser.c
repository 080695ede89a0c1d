/* The lexer: one state per place between two bytes where the message can be cut.
 *
 * Each `read_...` below takes at least one byte or changes the state, and takes all
 * bytes of a kind at once, so that the loop in http_parser_feed always ends. Limits
 * are checked after each step, on counts that do not depend on how the bytes were
 * cut. What the fields mean is http_head.c's business. */
#include "net/http_parser.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char VERSION[] = "HTTP/";
enum { VERSION_BYTES = sizeof VERSION - 1 };

/* What a step works on. */
struct input {
  const uint8_t *at;
  const uint8_t *end;
};

void http_parser_init(struct http_parser *parser, const struct http_parser_limits *limits) {
  *parser = (struct http_parser){.limits = *limits, .state = PARSER_START};
}

void http_parser_release(struct http_parser *parser) { http_head_release(&parser->head); }

void http_parser_reset(struct http_parser *parser) {
  struct http_parser_limits limits = parser->limits;
  http_parser_release(parser);
  http_parser_init(parser, &limits);
}

void http_parser_take_head(struct http_parser *parser, struct http_head *head) {
  *head = parser->head;
  parser->head = HTTP_HEAD_EMPTY;
}

int64_t http_parser_body_room(const struct http_parser *parser) {
  bool body = parser->state == PARSER_LENGTH_BODY || parser->state == PARSER_CHUNK_BODY;
  return body ? parser->room_bytes : 0;
}

void http_parser_body_took(struct http_parser *parser, int64_t bytes) {
  assert(bytes >= 0 && bytes <= http_parser_body_room(parser));
  parser->room_bytes -= bytes;
  if (parser->room_bytes > 0) return;
  parser->state = parser->state == PARSER_LENGTH_BODY ? PARSER_END : PARSER_CHUNK_CR;
}

bool http_parser_idle(const struct http_parser *parser) { return parser->state == PARSER_START; }

int http_parser_code(const struct http_parser *parser) { return parser->code; }

static bool is_target_byte(uint8_t byte) {
  /* More than RFC 3986 allows, less than arrives: what browsers leave unescaped in a
   * query (URL Standard) is taken, since `GET /query?sql=` is typed into browsers. */
  return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '#' && byte != '<' && byte != '>';
}

static bool is_value_byte(uint8_t byte) { return (byte >= 0x20 && byte != 0x7f) || byte == '\t'; }

static enum status refuse(struct http_parser *parser, int code, struct error *error,
                          const char *what) {
  parser->code = code;
  enum status status = code == 501 || code == 505                  ? STATUS_UNSUPPORTED
                       : code == 413 || code == 414 || code == 431 ? STATUS_TOO_LARGE
                                                                   : STATUS_INVALID;
  return error_set(error, status, "%s", what);
}

static enum status refuse_byte(struct http_parser *parser, uint8_t byte, struct error *error,
                               const char *where) {
  parser->code = 400;
  return error_set(error, STATUS_INVALID, "the %s must not hold the byte 0x%02X here", where, byte);
}

/* One byte that can only be this one; `next` follows. */
static enum status expect_byte(struct http_parser *parser, struct input *input, uint8_t wanted,
                               enum http_parser_state next, struct error *error,
                               const char *where) {
  if (*input->at != wanted) return refuse_byte(parser, *input->at, error, where);
  input->at++;
  parser->state = next;
  return STATUS_OK;
}

/* Text of the head; trailers are checked and dropped. */
static enum status keep(struct http_parser *parser, const void *data, size_t bytes,
                        struct error *error) {
  if (parser->trailer) return STATUS_OK;
  enum status status = http_head_add(&parser->head, data, bytes, error);
  if (status != STATUS_OK) parser->code = status_http(status);
  return status;
}

/* ---- request line ------------------------------------------------------------- */

static enum status read_start(struct http_parser *parser, struct input *input,
                              struct error *error) {
  if (*input->at != '\r') {
    parser->state = PARSER_METHOD;
    return STATUS_OK;
  }
  if (parser->empty_lines == HTTP_EMPTY_LINES_MAX)
    return refuse(parser, 400, error, "there are empty lines where a request should begin");
  parser->empty_lines++;
  input->at++;
  parser->state = PARSER_START_LF;
  return STATUS_OK;
}

static enum status read_method(struct http_parser *parser, struct input *input,
                               struct error *error) {
  const uint8_t *from = input->at;
  while (input->at < input->end && http_is_token_byte(*input->at)) input->at++;
  size_t bytes = (size_t)(input->at - from);
  enum status status = keep(parser, from, bytes, error);
  parser->line_bytes += (int64_t)bytes;
  if (status != STATUS_OK || input->at == input->end) return status;
  if (*input->at != ' ' || parser->line_bytes == 0)
    return refuse_byte(parser, *input->at, error, "request's method");
  input->at++;
  parser->line_bytes++;
  parser->state = PARSER_TARGET;
  return keep(parser, "", 1, error);
}

static enum status read_target(struct http_parser *parser, struct input *input,
                               struct error *error) {
  const uint8_t *from = input->at;
  while (input->at < input->end && is_target_byte(*input->at)) input->at++;
  size_t bytes = (size_t)(input->at - from);
  enum status status = keep(parser, from, bytes, error);
  parser->line_bytes += (int64_t)bytes;
  if (status != STATUS_OK || input->at == input->end) return status;
  if (*input->at == '\r' || *input->at == '\n')
    return refuse(parser, 400, error, "the request line has no HTTP version");
  if (*input->at != ' ')
    return refuse_byte(parser, *input->at, error, "request's target (percent-encode it: it)");
  input->at++;
  parser->line_bytes++;
  parser->state = PARSER_VERSION;
  return keep(parser, "", 1, error);
}

/* "HTTP/1.1" or "HTTP/1.0", and the CR. */
static enum status read_version(struct http_parser *parser, struct input *input,
                                struct error *error) {
  for (; input->at < input->end; input->at++) {
    uint8_t byte = *input->at;
    bool digit = byte >= '0' && byte <= '9';
    int at = parser->version_at++;
    bool fits = at < VERSION_BYTES        ? byte == (uint8_t)VERSION[at]
                : at == VERSION_BYTES + 1 ? byte == '.'
                : at == VERSION_BYTES + 3 ? byte == '\r'
                                          : digit;
    if (!fits) return refuse_byte(parser, byte, error, "request's HTTP version");
    if ((at == VERSION_BYTES && byte != '1') || (at == VERSION_BYTES + 2 && byte > '1'))
      return refuse(parser, 505, error,
                    "only HTTP/1.1 and HTTP/1.0 are spoken here (curl: --http1.1)");
    if (at == VERSION_BYTES + 2) parser->head.minor_version = byte - '0';
    parser->line_bytes++;
    if (at < VERSION_BYTES + 3) continue;
    input->at++;
    parser->state = PARSER_REQUEST_LF;
    return STATUS_OK;
  }
  return STATUS_OK;
}

static enum status read_request_lf(struct http_parser *parser, struct input *input,
                                   struct error *error) {
  parser->line_bytes = 0; /* from here on it counts the fields */
  return expect_byte(parser, input, '\n', PARSER_FIELD, error, "end of the request line");
}

/* ---- fields, of the head and of the trailer ------------------------------------- */

static enum status read_field(struct http_parser *parser, struct input *input,
                              struct error *error) {
  uint8_t byte = *input->at;
  if (byte == '\r') {
    input->at++;
    parser->line_bytes++;
    parser->state = PARSER_FIELDS_LF;
    return STATUS_OK;
  }
  if (byte == ' ' || byte == '\t')
    return refuse(parser, 400, error,
                  "a field line begins with white space (folded lines are obsolete)");
  if (!http_is_token_byte(byte)) return refuse_byte(parser, byte, error, "name of a field");
  parser->header_count++;
  if (!parser->trailer && parser->header_count > parser->limits.header_count_max)
    return refuse(parser, 431, error, "the request has too many fields");
  parser->state = PARSER_NAME;
  return STATUS_OK;
}

static enum status read_name(struct http_parser *parser, struct input *input, struct error *error) {
  const uint8_t *from = input->at;
  while (input->at < input->end && http_is_token_byte(*input->at)) input->at++;
  size_t bytes = (size_t)(input->at - from);
  enum status status = keep(parser, from, bytes, error);
  parser->line_bytes += (int64_t)bytes;
  if (status != STATUS_OK) return status;
  if (!parser->trailer) { /* names are kept in lower case */
    char *name = parser->head.text + parser->head.text_bytes - bytes;
    for (size_t i = 0; i < bytes; i++)
      if (name[i] >= 'A' && name[i] <= 'Z') name[i] = (char)(name[i] + ('a' - 'A'));
  }
  if (input->at == input->end) return STATUS_OK;
  if (*input->at != ':') return refuse_byte(parser, *input->at, error, "name of a field");
  input->at++;
  parser->line_bytes++;
  parser->state = PARSER_VALUE_START;
  return keep(parser, "", 1, error);
}

static enum status read_value_start(struct http_parser *parser, struct input *input) {
  while (input->at < input->end && (*input->at == ' ' || *input->at == '\t')) {
    input->at++;
    parser->line_bytes++;
  }
  if (input->at < input->end) parser->state = PARSER_VALUE;
  return STATUS_OK;
}

static enum status read_value(struct http_parser *parser, struct input *input,
                              struct error *error) {
  const uint8_t *from = input->at;
  while (input->at < input->end && is_value_byte(*input->at)) input->at++;
  size_t bytes = (size_t)(input->at - from);
  enum status status = keep(parser, from, bytes, error);
  parser->line_bytes += (int64_t)bytes;
  if (status != STATUS_OK || input->at == input->end) return status;
  if (*input->at != '\r') return refuse_byte(parser, *input->at, error, "value of a field");
  input->at++;
  parser->line_bytes++;
  parser->state = PARSER_VALUE_LF;
  if (parser->trailer) return STATUS_OK;
  /* The white space before the end of a line is not part of the value. The value
   * begins after the NUL that ended the name, so this stops there at the latest. */
  struct http_head *head = &parser->head;
  while (head->text[head->text_bytes - 1] == ' ' || head->text[head->text_bytes - 1] == '\t')
    head->text_bytes--;
  return keep(parser, "", 1, error);
}

/* The body's framing as the head says it. */
static void begin_body(struct http_parser *parser) {
  int64_t body_bytes = parser->head.request.body_bytes;
  parser->room_bytes = body_bytes > 0 ? body_bytes : 0;
  parser->digits = 0;
  parser->state = body_bytes < 0    ? PARSER_CHUNK_SIZE
                  : body_bytes == 0 ? PARSER_END
                                    : PARSER_LENGTH_BODY;
}

static enum status read_fields_lf(struct http_parser *parser, struct input *input,
                                  enum http_event *event, struct error *error) {
  enum status status =
      expect_byte(parser, input, '\n', PARSER_END, error, "empty line after the fields");
  if (status != STATUS_OK) return status;
  parser->line_bytes++;
  if (parser->trailer) return STATUS_OK;
  status = http_head_finish(&parser->head, parser->header_count, &parser->code, error);
  if (status != STATUS_OK) return status;
  begin_body(parser);
  *event = HTTP_EVENT_HEAD;
  return STATUS_OK;
}

/* ---- chunks (RFC 9112, section 7.1) -------------------------------------------- */

static int hex_digit(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  uint8_t lower = byte | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static enum status read_chunk_size(struct http_parser *parser, struct input *input,
                                   struct error *error) {
  for (; input->at < input->end; input->at++) {
    int digit = hex_digit(*input->at);
    if (digit < 0) break;
    if (parser->digits == HTTP_CHUNK_SIZE_DIGITS_MAX)
      return refuse(parser, 400, error, "the size of a chunk has too many digits");
    parser->digits++;
    parser->room_bytes = parser->room_bytes * 16 + digit;
  }
  if (input->at == input->end) return STATUS_OK;
  uint8_t byte = *input->at;
  if (parser->digits == 0 || (byte != '\r' && byte != ';'))
    return refuse_byte(parser, byte, error, "size of a chunk");
  input->at++;
  parser->state = byte == '\r' ? PARSER_CHUNK_SIZE_LF : PARSER_CHUNK_EXTENSION;
  return STATUS_OK;
}

static enum status read_chunk_extension(struct http_parser *parser, struct input *input,
                                        struct error *error) {
  const uint8_t *from = input->at;
  while (input->at < input->end && is_value_byte(*input->at)) input->at++;
  parser->extension_bytes += input->at - from;
  if (parser->extension_bytes > HTTP_CHUNK_EXTENSION_BYTES_MAX)
    return refuse(parser, 400, error, "the body's chunk extensions are too long");
  if (input->at == input->end) return STATUS_OK;
  return expect_byte(parser, input, '\r', PARSER_CHUNK_SIZE_LF, error, "extension of a chunk");
}

static enum status read_chunk_size_lf(struct http_parser *parser, struct input *input,
                                      enum http_event *event, struct error *error) {
  bool last = parser->room_bytes == 0;
  enum status status = expect_byte(parser, input, '\n', last ? PARSER_FIELD : PARSER_CHUNK_BODY,
                                   error, "line of a chunk's size");
  if (status != STATUS_OK) return status;
  if (last) {
    parser->trailer = true;
    parser->line_bytes = 0;
  } else {
    *event = HTTP_EVENT_BODY;
  }
  return STATUS_OK;
}

static enum status read_chunk_lf(struct http_parser *parser, struct input *input,
                                 struct error *error) {
  parser->room_bytes = 0;
  parser->digits = 0;
  return expect_byte(parser, input, '\n', PARSER_CHUNK_SIZE, error, "end of a chunk");
}

/* ---- all together -------------------------------------------------------------- */

static enum status check_limits(struct http_parser *parser, struct error *error) {
  if (parser->state <= PARSER_REQUEST_LF) {
    if (parser->line_bytes > HTTP_REQUEST_LINE_BYTES_MAX)
      return refuse(parser, 414, error, "the request line is too long");
  } else if (parser->trailer) {
    if (parser->line_bytes > HTTP_TRAILER_BYTES_MAX)
      return refuse(parser, 431, error, "the trailer is too long");
  } else if (parser->line_bytes > parser->limits.header_bytes_max) {
    return refuse(parser, 431, error, "the request's fields are too long");
  }
  return STATUS_OK;
}

static enum status step(struct http_parser *parser, struct input *input, enum http_event *event,
                        struct error *error) {
  switch (parser->state) {
  case PARSER_START: return read_start(parser, input, error);
  case PARSER_START_LF:
    return expect_byte(parser, input, '\n', PARSER_START, error, "empty line before a request");
  case PARSER_METHOD: return read_method(parser, input, error);
  case PARSER_TARGET: return read_target(parser, input, error);
  case PARSER_VERSION: return read_version(parser, input, error);
  case PARSER_REQUEST_LF: return read_request_lf(parser, input, error);
  case PARSER_FIELD: return read_field(parser, input, error);
  case PARSER_NAME: return read_name(parser, input, error);
  case PARSER_VALUE_START: return read_value_start(parser, input);
  case PARSER_VALUE: return read_value(parser, input, error);
  case PARSER_VALUE_LF:
    parser->line_bytes++;
    return expect_byte(parser, input, '\n', PARSER_FIELD, error, "end of a field line");
  case PARSER_FIELDS_LF: return read_fields_lf(parser, input, event, error);
  case PARSER_CHUNK_SIZE: return read_chunk_size(parser, input, error);
  case PARSER_CHUNK_EXTENSION: return read_chunk_extension(parser, input, error);
  case PARSER_CHUNK_SIZE_LF: return read_chunk_size_lf(parser, input, event, error);
  case PARSER_CHUNK_CR:
    return expect_byte(parser, input, '\r', PARSER_CHUNK_LF, error, "end of a chunk");
  case PARSER_CHUNK_LF: return read_chunk_lf(parser, input, error);
  case PARSER_LENGTH_BODY:
  case PARSER_CHUNK_BODY:
  case PARSER_END:
  case PARSER_FAILED: break; /* http_parser_feed does not come here with these */
  }
  return error_set(error, STATUS_INTERNAL, "the parser was fed after its end");
}

enum status http_parser_feed(struct http_parser *parser, const uint8_t *data, size_t bytes,
                             size_t *used_bytes, enum http_event *event, struct error *error) {
  assert(parser->state != PARSER_FAILED);
  static const uint8_t nothing = 0;
  if (data == NULL) data = &nothing;
  struct input input = {data, data + bytes};
  enum status status = STATUS_OK;
  *event = HTTP_EVENT_MORE;
  while (status == STATUS_OK && *event == HTTP_EVENT_MORE) {
    if (parser->state == PARSER_END) {
      *event = HTTP_EVENT_END;
    } else if (http_parser_body_room(parser) > 0) {
      *event = HTTP_EVENT_BODY;
    } else if (input.at == input.end) {
      break;
    } else {
      status = step(parser, &input, event, error);
      /* A limit that was passed before something else was found comes first. */
      enum status limited = check_limits(parser, error);
      if (limited != STATUS_OK) status = limited;
    }
  }
  *used_bytes = (size_t)(input.at - data);
  if (status != STATUS_OK) parser->state = PARSER_FAILED;
  return status;
}
