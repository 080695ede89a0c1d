/* The HTTP/1.1 parser, for a comparison with another one: what it sees in given bytes.
 *
 *   http_parse < CASES
 *
 * A case is a piece length (4 bytes, little-endian; 0: whole), a length (likewise), and so
 * many bytes, which are fed to the parser in pieces of that length as one connection's. For
 * each case one line of JSON comes out: {"messages": [{"method", "target", "version",
 * "headers": [[name, value]...], "keep_alive", "length" (-1: chunked), "body", "whole"}...],
 * "code": null or HTTP status, "error": null or text, "idle", "began", "stopped"}: offsets of
 * the message that is not over and of where reading ended. Texts and bodies are hexadecimal
 * digits, since a target or a value may hold any byte. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_parser.h"

enum { CASE_BYTES_MAX = 1 << 24, HEADER_BYTES_MAX = 1 << 16, HEADER_COUNT_MAX = 100 };

struct seen {
  int messages;
  bool open;      /* a message has begun to be printed and is not over */
  size_t began;   /* where the message that is not over began */
  size_t stopped; /* how far all was read */
};

static void put_hex(const char *key, const void *data, size_t bytes) {
  const uint8_t *at = data;
  printf("\"%s\": \"", key);
  for (size_t i = 0; i < bytes; i++) printf("%02x", at[i]);
  printf("\", ");
}

static void put_head(const struct http_head *head, struct seen *seen) {
  const struct http_request *request = &head->request;
  printf("%s{", seen->messages++ > 0 ? ", " : "");
  put_hex("method", request->method, strlen(request->method));
  put_hex("target", request->target, strlen(request->target));
  printf("\"version\": \"1.%d\", \"headers\": [", head->minor_version);
  for (size_t i = 0; i < request->header_count; i++) {
    const struct http_header *header = &request->headers[i];
    printf("%s{", i > 0 ? ", " : "");
    put_hex("name", header->name, strlen(header->name));
    put_hex("value", header->value, strlen(header->value));
    printf("\"at\": %zu}", i);
  }
  printf("], \"keep_alive\": %s, \"length\": %lld, \"body\": \"",
         head->keep_alive ? "true" : "false", (long long)request->body_bytes);
  seen->open = true;
}

static void end_message(struct seen *seen, bool whole) {
  if (seen->open) printf("\", \"whole\": %s}", whole ? "true" : "false");
  seen->open = false;
}

/* One piece; false once the parser has refused. */
static bool feed(struct http_parser *parser, const uint8_t *data, size_t bytes, struct seen *seen,
                 struct error *error) {
  for (;;) {
    size_t used = 0;
    enum http_event event;
    enum status status = http_parser_feed(parser, data, bytes, &used, &event, error);
    data += used;
    bytes -= used;
    seen->stopped += used;
    if (status != STATUS_OK) return false;
    if (event == HTTP_EVENT_MORE) return true;
    if (event == HTTP_EVENT_HEAD) {
      struct http_head head;
      http_parser_take_head(parser, &head);
      put_head(&head, seen);
      http_head_release(&head);
    } else if (event == HTTP_EVENT_BODY) {
      int64_t room = http_parser_body_room(parser);
      size_t taken = room < (int64_t)bytes ? (size_t)room : bytes;
      if (taken == 0) return true;
      for (size_t i = 0; i < taken; i++) printf("%02x", data[i]);
      http_parser_body_took(parser, (int64_t)taken);
      data += taken;
      bytes -= taken;
      seen->stopped += taken;
    } else {
      end_message(seen, true);
      seen->began = seen->stopped;
      http_parser_reset(parser);
      if (bytes == 0) return true;
    }
  }
}

static void put_case(const uint8_t *data, size_t bytes, size_t piece_bytes) {
  static const struct http_parser_limits LIMITS = {.header_bytes_max = HEADER_BYTES_MAX,
                                                   .header_count_max = HEADER_COUNT_MAX};
  struct http_parser parser;
  struct seen seen = {0};
  struct error error = {0};
  http_parser_init(&parser, &LIMITS);
  bool good = true;
  printf("{\"messages\": [");
  for (size_t at = 0; at < bytes && good;) {
    size_t piece = piece_bytes == 0 || piece_bytes > bytes - at ? bytes - at : piece_bytes;
    good = feed(&parser, data + at, piece, &seen, &error);
    at += piece;
  }
  end_message(&seen, false);
  printf("], \"began\": %zu, \"stopped\": %zu, \"idle\": %s, ", seen.began, seen.stopped,
         good && http_parser_idle(&parser) ? "true" : "false");
  if (!good) put_hex("error", error.text, strlen(error.text));
  if (!good) printf("\"code\": %d}\n", http_parser_code(&parser));
  if (good) printf("\"error\": null, \"code\": null}\n");
  http_parser_release(&parser);
}

static bool read_number(uint32_t *number) {
  uint8_t bytes[4];
  if (fread(bytes, 1, sizeof bytes, stdin) != sizeof bytes) return false;
  *number = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
            (uint32_t)bytes[3] << 24;
  return true;
}

int main(void) {
  uint32_t piece_bytes, bytes;
  while (read_number(&piece_bytes)) {
    if (!read_number(&bytes) || bytes > CASE_BYTES_MAX) {
      fprintf(stderr, "http_parse: a case without its length, or too long\n");
      return 2;
    }
    uint8_t *data = malloc(bytes == 0 ? 1 : bytes); /* its own, so that ASan sees its end */
    if (data == NULL || fread(data, 1, bytes, stdin) != bytes) {
      fprintf(stderr, "http_parse: a case is shorter than it says\n");
      free(data);
      return 2;
    }
    put_case(data, bytes, piece_bytes);
    free(data);
  }
  return 0;
}
