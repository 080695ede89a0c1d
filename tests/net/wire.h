/* A client for tests: blocking sockets, nothing between the test and the wire. */
#ifndef ARROWPORT_TESTS_NET_WIRE_H
#define ARROWPORT_TESTS_NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum { WIRE_TIMEOUT_MS = 10000 };

int wire_connect(int port);
void wire_send(int fd, const void *data, size_t bytes); /* all of it, or the test fails */
void wire_say(int fd, const char *text);
/* Whether the other side took it; no failure. */
bool wire_try_send(int fd, const void *data, size_t bytes);
/* One byte at a time. */
void wire_drip(int fd, const void *data, size_t bytes);
/* Whatever is there within WIRE_TIMEOUT_MS: bytes, 0 at the end, -1 after a reset. */
int64_t wire_recv(int fd, void *data, size_t bytes);
/* True when the next thing to come is the end (or a reset), not bytes. */
bool wire_ended(int fd);
/* Closes with a reset. */
void wire_reset(int fd);

/* One answer, interim ones left out (but counted). */
struct wire_answer {
  int code; /* 0: none came */
  int interim;
  struct text head;
  struct text body;
  bool whole; /* the body came to the end that was promised */
};
/* `head_only`: the answer to HEAD. To be released. */
struct wire_answer wire_answer(int fd, bool head_only);
bool wire_has(const struct wire_answer *answer, const char *header_line);
void wire_answer_release(struct wire_answer *answer);

/* Sends `request`, checks code and body (NULL: any) of its answer. */
void wire_ask(int fd, const char *request, int code, const char *body);

#endif
