#include "net/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int wire_connect(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval patience = {.tv_sec = WIRE_TIMEOUT_MS / 1000};
  static const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

bool wire_try_send(int fd, const void *data, size_t bytes) {
  const char *at = data;
  while (bytes > 0) {
    ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    at += sent;
    bytes -= (size_t)sent;
  }
  return true;
}

void wire_send(int fd, const void *data, size_t bytes) {
  if (!wire_try_send(fd, data, bytes)) fail_msg("send: %s", strerror(errno));
}

void wire_say(int fd, const char *text) { wire_send(fd, text, strlen(text)); }

void wire_drip(int fd, const void *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) wire_send(fd, (const char *)data + i, 1);
}

int64_t wire_recv(int fd, void *data, size_t bytes) {
  ssize_t got;
  do got = recv(fd, data, bytes, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) fail_msg("nothing came in time");
  return got;
}

bool wire_ended(int fd) {
  char byte;
  return wire_recv(fd, &byte, 1) <= 0;
}

void wire_reset(int fd) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
}

static bool add_byte(int fd, struct text *text) {
  char byte;
  if (wire_recv(fd, &byte, 1) <= 0) return false;
  assert_int_equal(text_add_bytes(text, &byte, 1, NULL), STATUS_OK);
  return true;
}

/* Up to and with `end`. */
static bool add_until(int fd, struct text *text, const char *end) {
  size_t end_bytes = strlen(end);
  size_t from = text->size_bytes;
  do {
    if (!add_byte(fd, text)) return false;
  } while (text->size_bytes - from < end_bytes ||
           memcmp(text->data + text->size_bytes - end_bytes, end, end_bytes) != 0);
  return true;
}

static bool add_bytes(int fd, struct text *text, size_t bytes) {
  char piece[65536];
  while (bytes > 0) {
    int64_t got = wire_recv(fd, piece, bytes < sizeof piece ? bytes : sizeof piece);
    if (got <= 0) return false;
    assert_int_equal(text_add_bytes(text, piece, (size_t)got, NULL), STATUS_OK);
    bytes -= (size_t)got;
  }
  return true;
}

static bool add_chunks(int fd, struct text *body) {
  for (;;) {
    struct text line = TEXT_EMPTY;
    struct text end = TEXT_EMPTY;
    bool good = add_until(fd, &line, "\r\n");
    size_t bytes = good ? strtoul(line.data, NULL, 16) : 0;
    good = good && add_bytes(fd, body, bytes) && add_bytes(fd, &end, 2);
    good = good && memcmp(end.data, "\r\n", 2) == 0;
    text_release(&line);
    text_release(&end);
    if (!good || bytes == 0) return good;
  }
}

static bool add_rest(int fd, struct text *body) {
  char piece[65536];
  int64_t got;
  while ((got = wire_recv(fd, piece, sizeof piece)) > 0)
    assert_int_equal(text_add_bytes(body, piece, (size_t)got, NULL), STATUS_OK);
  return got == 0;
}

bool wire_has(const struct wire_answer *answer, const char *header_line) {
  return strstr(text_get(&answer->head), header_line) != NULL;
}

struct wire_answer wire_answer(int fd, bool head_only) {
  struct wire_answer answer = {.head = TEXT_EMPTY, .body = TEXT_EMPTY};
  for (;;) {
    if (!add_until(fd, &answer.head, "\r\n\r\n")) return answer;
    assert_memory_equal(answer.head.data, "HTTP/1.1 ", 9);
    answer.code = (int)strtol(answer.head.data + 9, NULL, 10);
    if (answer.code >= 200) break;
    answer.interim++;
    answer.code = 0;
    text_clear(&answer.head);
  }
  const char *length = strstr(answer.head.data, "content-length: ");
  if (head_only || answer.code == 204 || answer.code == 304)
    answer.whole = true;
  else if (length != NULL)
    answer.whole = add_bytes(fd, &answer.body, strtoul(length + 16, NULL, 10));
  else if (wire_has(&answer, "transfer-encoding: chunked\r\n"))
    answer.whole = add_chunks(fd, &answer.body);
  else
    answer.whole = add_rest(fd, &answer.body);
  return answer;
}

void wire_answer_release(struct wire_answer *answer) {
  text_release(&answer->head);
  text_release(&answer->body);
}

void wire_ask(int fd, const char *request, int code, const char *body) {
  wire_say(fd, request);
  struct wire_answer answer = wire_answer(fd, strncmp(request, "HEAD", 4) == 0);
  assert_int_equal(answer.code, code);
  assert_true(answer.whole);
  if (body != NULL) assert_string_equal(text_get(&answer.body), body);
  wire_answer_release(&answer);
}
