#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_parser.h"
#include "net/parser_trace.h"

static const struct http_parser_limits LIMITS = {.header_bytes_max = 1024, .header_count_max = 8};

#define HOST    "Host: a\r\n"
#define GET     "GET / HTTP/1.1\r\n" HOST
#define POST    "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
/* The trace of a plain head with these headers. */
#define TRACE_GET "GET / path=/ query= host=a {host=a}"

static const struct {
  const char *bytes;
  const char *want;
} accepted[] = {
    {GET "\r\n", TRACE_GET " body=0 keep\n[]\nidle\n"},
    {"\r\n" GET "\r\n", TRACE_GET " body=0 keep\n[]\nidle\n"},
    {"GET / HTTP/1.0\r\n\r\n", "GET / path=/ query= host= body=0\n[]\nidle\n"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "GET / path=/ query= host= {connection=keep-alive} body=0 keep\n[]\nidle\n"},
    {GET "Connection: x, Close\r\n\r\n", TRACE_GET " {connection=x, Close} body=0\n[]\nidle\n"},
    {GET "Connection: keep-alive\r\nConnection: close\r\n\r\n",
     TRACE_GET " {connection=keep-alive} {connection=close} body=0\n[]\nidle\n"},
    {GET "Connection: disclose\r\n\r\n",
     TRACE_GET " {connection=disclose} body=0 keep\n[]\nidle\n"},
    {"GET /a%20b?x=1&y=[2]|3 HTTP/1.1\r\n" HOST "\r\n",
     "GET /a%20b?x=1&y=[2]|3 path=/a%20b query=x=1&y=[2]|3 host=a {host=a} body=0 "
     "keep\n[]\nidle\n"},
    {"GET /?a?b HTTP/1.1\r\n" HOST "\r\n",
     "GET /?a?b path=/ query=a?b host=a {host=a} body=0 keep\n[]\nidle\n"},
    {"GET http://a:80/x?y HTTP/1.1\r\nHost: A:80\r\n\r\n",
     "GET http://a:80/x?y path=/x query=y host=A:80 {host=A:80} body=0 keep\n[]\nidle\n"},
    {"GET http://a?y HTTP/1.0\r\n\r\n", "GET http://a?y path=/ query=y host=a body=0\n[]\nidle\n"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
     "OPTIONS * path=* query= host=a {host=a} body=0 keep\n[]\nidle\n"},
    {"M-E_T!H#O / HTTP/1.1\r\n" HOST "\r\n",
     "M-E_T!H#O / path=/ query= host=a {host=a} body=0 keep\n[]\nidle\n"},
    {GET "X-Empty:\r\nX-Blank:  \t \r\nX-Inner: \t a \t b \t\r\nX-High: \xC3\xA4\r\n\r\n",
     TRACE_GET " {x-empty=} {x-blank=} {x-inner=a \t b} {x-high=\xC3\xA4} body=0 keep\n[]\nidle\n"},
    {POST "Content-Length: 3\r\n\r\nabc",
     "POST / path=/ query= host=a {host=a} {content-length=3} body=3 keep\n[abc]\nidle\n"},
    {POST "Content-Length: 003\r\n\r\nab",
     "POST / path=/ query= host=a {host=a} {content-length=003} body=3 keep\n[abmore\n"},
    {POST "Content-Length: 0\r\n\r\n",
     "POST / path=/ query= host=a {host=a} {content-length=0} body=0 keep\n[]\nidle\n"},
    {POST "Expect: 100-Continue\r\n\r\n",
     "POST / path=/ query= host=a {host=a} {expect=100-Continue} body=0 keep continue\n[]\nidle\n"},
    {POST "Expect: pizza\r\n\r\n",
     "POST / path=/ query= host=a {host=a} {expect=pizza} body=0 keep expects\n[]\nidle\n"},
    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
     "POST / path=/ query= host= {expect=100-continue} body=0\n[]\nidle\n"},
    /* Pipelined. */
    {POST "Content-Length: 2\r\n\r\nab" GET "\r\n",
     "POST / path=/ query= host=a {host=a} {content-length=2} body=2 keep\n[ab]\n" TRACE_GET
     " body=0 keep\n[]\nidle\n"},
};

/* What follows CHUNKED, and the body's trace. */
static const struct {
  const char *bytes;
  const char *want;
} chunked[] = {
    {"0\r\n\r\n", "]\nidle\n"},
    {"3\r\nabc\r\n0\r\n\r\n", "abc]\nidle\n"},
    {"3;x=\"y z\";q\r\nabc\r\n00B\r\n0123456789A\r\n000\r\n\r\n", "abc0123456789A]\nidle\n"},
    {"a\r\n0123456789\r\n0\r\nX-Trailer: 1\r\nY: 2\r\n\r\n", "0123456789]\nidle\n"},
    {"3\r\nabc\r\n", "abcmore\n"},
    {"\r\n", "]\n400 INVALID: the size of a chunk must not hold the byte 0x0D here\n"},
    {"g\r\n", "]\n400 INVALID: the size of a chunk must not hold the byte 0x67 here\n"},
    {"0x3\r\nabc", "]\n400 INVALID: the size of a chunk must not hold the byte 0x78 here\n"},
    {"-3\r\nabc", "]\n400 INVALID: the size of a chunk must not hold the byte 0x2D here\n"},
    {"3 \r\nabc", "]\n400 INVALID: the size of a chunk must not hold the byte 0x20 here\n"},
    {"3 ;x\r\nabc", "]\n400 INVALID: the size of a chunk must not hold the byte 0x20 here\n"},
    {" 3\r\nabc", "]\n400 INVALID: the size of a chunk must not hold the byte 0x20 here\n"},
    {"3\nabc", "]\n400 INVALID: the size of a chunk must not hold the byte 0x0A here\n"},
    {"3\rabc", "]\n400 INVALID: the line of a chunk's size must not hold the byte 0x61 here\n"},
    {"3;a\nb\r\n", "]\n400 INVALID: the extension of a chunk must not hold the byte 0x0A here\n"},
    {"3\r\nabcd", "abc]\n400 INVALID: the end of a chunk must not hold the byte 0x64 here\n"},
    {"3\r\nabc\n", "abc]\n400 INVALID: the end of a chunk must not hold the byte 0x0A here\n"},
    {"3\r\nabc\r3", "abc]\n400 INVALID: the end of a chunk must not hold the byte 0x33 here\n"},
    {"fffffffffffffff\r\na", "amore\n"},
    {"1000000000000000\r\n", "]\n400 INVALID: the size of a chunk has too many digits\n"},
    {"0000000000000000\r\n", "]\n400 INVALID: the size of a chunk has too many digits\n"},
    {"0\r\nX : y\r\n\r\n",
     "]\n400 INVALID: the name of a field must not hold the byte 0x20 here\n"},
    {"0\r\n X: y\r\n\r\n",
     "]\n400 INVALID: a field line begins with white space (folded lines are obsolete)\n"},
    {"0\r\n\n", "]\n400 INVALID: the name of a field must not hold the byte 0x0A here\n"},
};

/* The whole message and how its answer begins. */
static const struct {
  const char *bytes;
  const char *want;
} refused[] = {
    /* request line */
    {"\r\n\r\n", "400 INVALID: there are empty lines"},
    {"\nGET", "400 INVALID: the request's method"},
    {" GET / HTTP/1.1\r\n", "400 INVALID: the request's method"},
    {"G\xC3\x84T / HTTP/1.1\r\n", "400 INVALID: the request's method"},
    {"GET\t/ HTTP/1.1\r\n", "400 INVALID: the request's method"},
    {"GET\r\n", "400 INVALID: the request's method"},
    {"GET /\r\n", "400 INVALID: the request line has no HTTP version"},
    {"GET  / HTTP/1.1\r\n", "400 INVALID: the request's HTTP version"},
    {"GET /  HTTP/1.1\r\n", "400 INVALID: the request's HTTP version"},
    {"GET / HTTP/1.1 \r\n", "400 INVALID: the request's HTTP version"},
    {"GET / HTTP/1.1\n", "400 INVALID: the request's HTTP version"},
    {"GET / HTTP/1.1\rX", "400 INVALID: the end of the request line"},
    {"GET / HTTP/1.10\r\n", "400 INVALID: the request's HTTP version"},
    {"GET / HTTP/11\r\n", "400 INVALID: the request's HTTP version"},
    {"GET / http/1.1\r\n", "400 INVALID: the request's HTTP version"},
    {"GET / HTTPS/1.1\r\n", "400 INVALID: the request's HTTP version"},
    {"GET / HTTP/0.9\r\n", "505 UNSUPPORTED"},
    {"GET / HTTP/1.2\r\n", "505 UNSUPPORTED"},
    {"GET / HTTP/2.0\r\n", "505 UNSUPPORTED"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 UNSUPPORTED"},
    {"GET /a b HTTP/1.1\r\n", "400 INVALID: the request's HTTP version"},
    {"GET /a\"b HTTP/1.1\r\n", "400 INVALID: the request's target"},
    {"GET /a#b HTTP/1.1\r\n", "400 INVALID: the request's target"},
    {"GET /\x7f HTTP/1.1\r\n", "400 INVALID: the request's target"},
    {"GET /\xC3\xA4 HTTP/1.1\r\n", "400 INVALID: the request's target"},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: the request's target is neither"},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: the request's target is neither"},
    {"GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: the request's target is neither"},
    {"GET http:///x HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: the URL in the request line"},
    {"GET http://u@a/x HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: the URL in the request line"},
    {"GET http://b/x HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: Host is not the host"},
    {"GET http://a.evil/x HTTP/1.1\r\n" HOST "\r\n", "400 INVALID: Host is not the host"},
    {"CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", "501 UNSUPPORTED"},
    /* field lines */
    {GET "X : y\r\n\r\n", "400 INVALID: the name of a field must not hold the byte 0x20"},
    {GET "X\t: y\r\n\r\n", "400 INVALID: the name of a field must not hold the byte 0x09"},
    {GET ": y\r\n\r\n", "400 INVALID: the name of a field must not hold the byte 0x3A"},
    {GET "X\r\n\r\n", "400 INVALID: the name of a field must not hold the byte 0x0D"},
    {GET "X(): y\r\n\r\n", "400 INVALID: the name of a field must not hold the byte 0x28"},
    {GET "X: a\r\n b\r\n\r\n", "400 INVALID: a field line begins with white space"},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 INVALID: a field line begins with white space"},
    {GET "X: a\nY: b\r\n\r\n", "400 INVALID: the value of a field must not hold the byte 0x0A"},
    {GET "X: a\rY: b\r\n\r\n", "400 INVALID: the end of a field line"},
    {GET "X: a\x01\r\n\r\n", "400 INVALID: the value of a field must not hold the byte 0x01"},
    {GET "X:\x0b"
         "a\r\n\r\n",
     "400 INVALID: the value of a field must not hold the byte 0x0B"},
    {GET "X: a\x7f\r\n\r\n", "400 INVALID: the value of a field must not hold the byte 0x7F"},
    {GET "\n", "400 INVALID: the name of a field must not hold the byte 0x0A"},
    {GET "\r\r\n", "400 INVALID: the empty line after the fields"},
    /* host */
    {"GET / HTTP/1.1\r\n\r\n", "400 INVALID: HTTP/1.1 requires a Host"},
    {GET HOST "\r\n", "400 INVALID: there is more than one Host"},
    {GET "host: b\r\n\r\n", "400 INVALID: there is more than one Host"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 INVALID: Host is not a host"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 INVALID: Host is not a host"},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400 INVALID: Host is not a host"},
    {"GET / HTTP/1.1\r\nHost: a,b\x80\r\n\r\n", "400 INVALID: Host is not a host"},
    /* framing: what smuggling is made of */
    {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "400 INVALID: there is more than one"},
    {POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", "400 INVALID: there is more than one"},
    {POST "Content-Length: 1, 1\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length:\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length: +1\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length: -1\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length: 1 1\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length: 0x1\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length: 1a\r\n\r\na", "400 INVALID: Content-Length is not one number"},
    {POST "Content-Length: 9223372036854775808\r\n\r\na", "413 TOO_LARGE"},
    {POST "Content-Length: 18446744073709551617\r\n\r\na", "413 TOO_LARGE"},
    {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 INVALID: there are both"},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "400 INVALID: there are both"},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
     "400 INVALID: there is more than one Transfer-Encoding"},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "400 INVALID: there is more than one Transfer-Encoding"},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", "501 UNSUPPORTED"},
    {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", "501 UNSUPPORTED"},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", "501 UNSUPPORTED"},
    {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", "501 UNSUPPORTED"},
    {POST "Transfer-Encoding:\r\n\r\n", "501 UNSUPPORTED"},
    {POST "Transfer-Encoding : chunked\r\n\r\n", "400 INVALID: the name of a field"},
    {POST "Transfer-Encoding:\x0b"
          "chunked\r\n\r\n",
     "400 INVALID: the value of a field"},
    {POST "Transfer-Encoding\n: chunked\r\n\r\n", "400 INVALID: the name of a field"},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400 INVALID: HTTP/1.0 knows no"},
    /* limits */
    {GET "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n",
     "431 TOO_LARGE: the request has too many"},
};

/* The trace in one piece, after it was seen that every cut into two and every cut into
 * pieces of 1, 2, 3, 5 bytes gives the same. */
static struct text trace_of(const void *data, size_t bytes) {
  struct text whole = TEXT_EMPTY;
  parser_trace(&LIMITS, data, bytes, 0, 0, &whole);
  for (size_t cut = 1; cut < bytes + 5; cut++) {
    static const size_t pieces[] = {1, 2, 3, 5};
    struct text cut_up = TEXT_EMPTY;
    if (cut < bytes)
      parser_trace(&LIMITS, data, bytes, cut, 0, &cut_up);
    else
      parser_trace(&LIMITS, data, bytes, 0, pieces[(cut - bytes) % 4], &cut_up);
    if (strcmp(text_get(&whole), text_get(&cut_up)) != 0)
      fail_msg("cut at %zu of %.200s\n%s\nbut whole\n%s", cut, (const char *)data,
               text_get(&cut_up), text_get(&whole));
    text_release(&cut_up);
  }
  return whole;
}

static void what_the_grammar_allows_is_read_however_it_is_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
    struct text trace = trace_of(accepted[i].bytes, strlen(accepted[i].bytes));
    assert_string_equal(text_get(&trace), accepted[i].want);
    text_release(&trace);
  }
}

static void chunks_are_read_strictly_however_they_are_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof chunked / sizeof chunked[0]; i++) {
    struct text message = TEXT_EMPTY;
    assert_int_equal(text_add(&message, CHUNKED, NULL), STATUS_OK);
    assert_int_equal(text_add(&message, chunked[i].bytes, NULL), STATUS_OK);
    struct text trace = trace_of(message.data, message.size_bytes);
    const char *body = strchr(text_get(&trace), '[');
    assert_non_null(body);
    assert_string_equal(body + 1, chunked[i].want);
    text_release(&trace);
    text_release(&message);
  }
}

static void what_the_grammar_does_not_allow_is_refused_however_it_is_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    struct text trace = trace_of(refused[i].bytes, strlen(refused[i].bytes));
    if (strncmp(text_get(&trace), refused[i].want, strlen(refused[i].want)) != 0)
      fail_msg("%s\nwanted %s\ngot %s", refused[i].bytes, refused[i].want, text_get(&trace));
    text_release(&trace);
  }
}

static void a_nul_byte_is_refused_everywhere_in_a_head(void **state) {
  (void)state;
  static const char head[] = GET "X: y\r\n\r\n";
  for (size_t i = 0; i < sizeof head - 1; i++) {
    char broken[sizeof head];
    memcpy(broken, head, sizeof head);
    broken[i] = '\0';
    struct text trace = trace_of(broken, sizeof head - 1);
    assert_memory_equal(text_get(&trace), "400 INVALID", 11);
    text_release(&trace);
  }
}

/* A message of `prefix`, `count` times `unit`, `suffix`: accepted up to `fits`, else
 * refused with `code`. */
static void at_a_limit(const char *prefix, const char *unit, size_t fits, const char *suffix,
                       const char *code) {
  for (size_t count = fits; count <= fits + 1; count++) {
    struct text message = TEXT_EMPTY;
    assert_int_equal(text_add(&message, prefix, NULL), STATUS_OK);
    for (size_t i = 0; i < count; i++) assert_int_equal(text_add(&message, unit, NULL), STATUS_OK);
    assert_int_equal(text_add(&message, suffix, NULL), STATUS_OK);
    for (size_t piece = 0; piece < 3; piece++) {
      struct text trace = TEXT_EMPTY;
      parser_trace(&LIMITS, (const uint8_t *)message.data, message.size_bytes, 0, piece, &trace);
      bool got = strstr(text_get(&trace), code) != NULL;
      assert_int_equal(got, count > fits);
      if (!got) assert_non_null(strstr(text_get(&trace), "]\nidle\n"));
      text_release(&trace);
    }
    text_release(&message);
  }
}

static void limits_hold_to_the_byte(void **state) {
  (void)state;
  size_t line = sizeof "GET / HTTP/1.1\r" - 1;
  at_a_limit("GET /", "x", HTTP_REQUEST_LINE_BYTES_MAX - line, " HTTP/1.1\r\n" HOST "\r\n",
             "414 TOO_LARGE");
  size_t fields = sizeof HOST "X: \r\n\r\n" - 1;
  at_a_limit(GET "X: ", "x", (size_t)LIMITS.header_bytes_max - fields, "\r\n\r\n", "431 TOO_LARGE");
  at_a_limit(GET, "A:\r\n", (size_t)LIMITS.header_count_max - 1, "\r\n", "431 TOO_LARGE");
  at_a_limit(CHUNKED "0\r\nX:", "x", HTTP_TRAILER_BYTES_MAX - (sizeof "X:\r\n\r\n" - 1), "\r\n\r\n",
             "431 TOO_LARGE");
  at_a_limit(CHUNKED, "1;x\r\na\r\n", HTTP_CHUNK_EXTENSION_BYTES_MAX, "0\r\n\r\n",
             "400 INVALID: the body's chunk extensions are too long");
  at_a_limit("", "\r\n", HTTP_EMPTY_LINES_MAX, GET "\r\n", "400 INVALID");
}

static void a_limit_that_was_passed_is_named_even_when_worse_follows(void **state) {
  (void)state;
  for (size_t piece = 0; piece < 3; piece++) {
    struct text message = TEXT_EMPTY;
    assert_int_equal(text_add(&message, "GET /", NULL), STATUS_OK);
    for (int i = 0; i < HTTP_REQUEST_LINE_BYTES_MAX; i++)
      assert_int_equal(text_add(&message, "x", NULL), STATUS_OK);
    assert_int_equal(text_add(&message, "\x01", NULL), STATUS_OK);
    struct text trace = TEXT_EMPTY;
    parser_trace(&LIMITS, (const uint8_t *)message.data, message.size_bytes, 0, piece, &trace);
    assert_string_equal(text_get(&trace), "414 TOO_LARGE: the request line is too long\n");
    text_release(&trace);
    text_release(&message);
  }
}

static void a_head_without_end_is_refused_before_it_is_held(void **state) {
  (void)state;
  struct http_parser parser;
  http_parser_init(&parser, &LIMITS);
  size_t used;
  enum http_event event;
  enum status status = http_parser_feed(&parser, (const uint8_t *)GET "X: ", sizeof GET "X: " - 1,
                                        &used, &event, NULL);
  for (int i = 0; i < 1000 && status == STATUS_OK; i++)
    status = http_parser_feed(&parser, (const uint8_t *)"0123456789", 10, &used, &event, NULL);
  assert_int_equal(status, STATUS_TOO_LARGE);
  assert_int_equal(http_parser_code(&parser), 431);
  assert_true(parser.head.text_capacity_bytes <= 2 * (size_t)LIMITS.header_bytes_max);
  http_parser_release(&parser);
}

static void body_bytes_may_be_taken_from_elsewhere(void **state) {
  (void)state;
  static const char head[] = POST "Content-Length: 1000000000000\r\n\r\n";
  struct http_parser parser;
  http_parser_init(&parser, &LIMITS);
  size_t used;
  enum http_event event;
  assert_int_equal(http_parser_body_room(&parser), 0);
  assert_int_equal(
      http_parser_feed(&parser, (const uint8_t *)head, sizeof head - 1, &used, &event, NULL),
      STATUS_OK);
  assert_int_equal(event, HTTP_EVENT_HEAD);
  assert_int_equal(used, sizeof head - 1);
  assert_int_equal(http_parser_body_room(&parser), 1000000000000);
  http_parser_body_took(&parser, 999999999999);
  assert_int_equal(http_parser_feed(&parser, NULL, 0, &used, &event, NULL), STATUS_OK);
  assert_int_equal(event, HTTP_EVENT_BODY);
  http_parser_body_took(&parser, 1);
  assert_int_equal(http_parser_body_room(&parser), 0);
  assert_int_equal(http_parser_feed(&parser, NULL, 0, &used, &event, NULL), STATUS_OK);
  assert_int_equal(event, HTTP_EVENT_END);
  http_parser_release(&parser);
}

static void headers_are_found_by_their_lower_case_name(void **state) {
  (void)state;
  static const char bytes[] = GET "X-Two: first\r\nx-tWO: second\r\n\r\n";
  struct http_parser parser;
  http_parser_init(&parser, &LIMITS);
  size_t used;
  enum http_event event;
  assert_int_equal(
      http_parser_feed(&parser, (const uint8_t *)bytes, sizeof bytes - 1, &used, &event, NULL),
      STATUS_OK);
  struct http_head head;
  http_parser_take_head(&parser, &head);
  http_parser_release(&parser); /* the head is the caller's own */
  assert_string_equal(http_request_header(&head.request, "x-two"), "first");
  assert_null(http_request_header(&head.request, "x-three"));
  http_head_release(&head);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_the_grammar_allows_is_read_however_it_is_cut),
      cmocka_unit_test(chunks_are_read_strictly_however_they_are_cut),
      cmocka_unit_test(what_the_grammar_does_not_allow_is_refused_however_it_is_cut),
      cmocka_unit_test(a_nul_byte_is_refused_everywhere_in_a_head),
      cmocka_unit_test(limits_hold_to_the_byte),
      cmocka_unit_test(a_limit_that_was_passed_is_named_even_when_worse_follows),
      cmocka_unit_test(a_head_without_end_is_refused_before_it_is_held),
      cmocka_unit_test(body_bytes_may_be_taken_from_elsewhere),
      cmocka_unit_test(headers_are_found_by_their_lower_case_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
