/* What can happen, once for the whole house.
 *
 * Every function that can fail returns `enum status` and takes `struct error *`
 * last. The table below is the only place that knows what a status means to the
 * world outside: HTTP code, gRPC code, exit code of the command line. */
#ifndef ARROWPORT_BASE_STATUS_H
#define ARROWPORT_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

/*        name        HTTP gRPC exit  meaning */
#define STATUS_TABLE(X)                                                                            \
  X(OK, 200, 0, 0, "done")                                                                         \
  X(INVALID, 400, 3, 2, "the input is broken")                                                     \
  X(SCHEMA, 422, 9, 3, "the data does not fit its destination")                                    \
  X(NOT_FOUND, 404, 5, 4, "no such thing")                                                         \
  X(DENIED, 403, 7, 5, "not allowed")                                                              \
  X(CONFLICT, 409, 10, 6, "somebody else changed what was read")                                   \
  X(BUDGET, 429, 8, 7, "memory limit reached, try again later")                                    \
  X(UNAVAILABLE, 503, 14, 8, "the other side does not answer, try again")                          \
  X(UNKNOWN, 500, 2, 9, "the outcome is not known and must be looked up")                          \
  X(UNSUPPORTED, 501, 12, 10, "valid, but not supported here")                                     \
  X(NOMEM, 503, 8, 11, "the system has no memory")                                                 \
  X(IO, 507, 13, 12, "reading or writing storage failed")                                          \
  X(TOO_LARGE, 413, 8, 13, "larger than a limit allows")                                           \
  X(TIMEOUT, 504, 4, 14, "not done within the time allowed")                                       \
  X(CANCELLED, 499, 1, 15, "given up by the one who asked")                                        \
  X(INTERNAL, 500, 13, 16, "a defect of this program")                                             \
  X(UNAUTHENTICATED, 401, 16, 17, "it is not known who asks")

enum status {
#define X(name, http, grpc, exit, meaning) STATUS_##name,
  STATUS_TABLE(X)
#undef X
};

#if defined(__GNUC__)
#define WARN_UNUSED              __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define WARN_UNUSED
#define PRINTF_LIKE(text, first)
#endif

enum { ERROR_TEXT_BYTES = 1024 };

/* One sentence for a person: what, where, and what to do about it. */
struct error {
  enum status status;
  int retry_after_ms; /* 0: trying again does not help by itself */
  char text[ERROR_TEXT_BYTES];
};

/* Fills `error` (NULL is allowed) and returns `status`, so that a failing
 * function ends with `return error_set(error, STATUS_..., "...")`. Text that
 * does not fit is cut. Never fails. */
enum status error_set(struct error *error, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts "where: " before the text that is already there; callers higher up use
 * it to say which table, stream or file the failure belongs to. */
void error_at(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

const char *status_name(enum status status);    /* "INVALID"; never NULL */
const char *status_meaning(enum status status); /* "the input is broken"; never NULL */
int status_http(enum status status);
int status_grpc(enum status status);
int status_exit(enum status status);

#endif
