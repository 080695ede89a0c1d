/* What a parser makes of some bytes, as text: one line an event, bodies in brackets.
 * Two ways of cutting the same bytes must give the same text. */
#ifndef ARROWPORT_TESTS_NET_PARSER_TRACE_H
#define ARROWPORT_TESTS_NET_PARSER_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "net/http_parser.h"

/* Feeds [data, data + bytes) in pieces of `piece_bytes`, the first one `first_bytes`
 * long. Both 0: all at once. Messages follow one another until an error. */
void parser_trace(const struct http_parser_limits *limits, const uint8_t *data, size_t bytes,
                  size_t first_bytes, size_t piece_bytes, struct text *trace);

#endif
