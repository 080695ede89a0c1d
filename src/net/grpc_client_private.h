/* What the files of the gRPC client share. Private to net/grpc_client*.c, its tests and its fuzz
 * target.
 *
 *   grpc_client.c             channels, and how a call begins
 *   grpc_client_call.c        calls: sending, receiving, waiting, deadlines, cancelling
 *   grpc_client_connection.c  one connection: the core, its socket, and waiting for it
 *   grpc_client_wire.c        addresses, sockets, TLS
 *   grpc_client_core.c        one HTTP/2 connection, bytes in, bytes out
 *   grpc_client_receive.c     messages: cut out of DATA, given to receivers, held while nobody asks
 *   grpc_client_answer.c      headers, trailers, and what status they come to */
#ifndef ARROWPORT_NET_GRPC_CLIENT_PRIVATE_H
#define ARROWPORT_NET_GRPC_CLIENT_PRIVATE_H

#include <stdatomic.h>
#include <sys/uio.h>

#include <nghttp2/nghttp2.h>

#include "net/grpc.h"
#include "net/grpc_client.h"

enum {
  GRPC_STREAM_WINDOW_BYTES = 16 << 20,
  GRPC_CONNECTION_WINDOW_BYTES = 64 << 20,
  GRPC_FRAME_BYTES_MAX = 1 << 20,
  GRPC_READ_BYTES = 1 << 20,        /* of one recv(2) */
  GRPC_OUT_BYTES_HIGH = 4 << 20,    /* asked of nghttp2 before the socket has taken it */
  GRPC_LAZY_BYTES = 64 << 10,       /* less than that waits for more (grpc_client_flush) */
  GRPC_FIELDS_BYTES_MAX = 64 << 10, /* of an answer's headers and trailers */
};

/* ---- what goes out ------------------------------------------------------------------------- */

/* A piece of what is to be sent: a slice of a caller's buffer, or small bytes of ours. */
struct grpc_piece {
  const uint8_t *data; /* NULL: in the arena, from `at` on */
  size_t at;
  size_t bytes;
  struct buffer owner;
};

/* Asked of nghttp2 only when it is empty: so the arena never grows past one round. */
struct grpc_out {
  struct grpc_piece *pieces;
  size_t first, count, room; /* [first, count) wait */
  uint8_t *arena;
  size_t arena_bytes, arena_room;
  size_t bytes; /* of all that wait */
};

/* ---- one HTTP/2 connection ----------------------------------------------------------------- */

struct grpc_core {
  nghttp2_session *session;
  struct grpc_client_call *calls; /* those that are not freed, newest first */
  struct grpc_out out;
  int64_t out_total, sent_total; /* bytes ever queued, ever sent */
  /* What nghttp2 was stopped at: the rest of a DATA frame's piece, in the owner's input. */
  struct grpc_client_call *pending;
  const uint8_t *pending_data;
  size_t pending_bytes;
  bool paused;
  bool settled;         /* the server's SETTINGS have come */
  bool leaving;         /* GOAWAY has come: no new calls */
  struct error failure; /* status OK: none */
  char reason[240];     /* what nghttp2 said of the server's last mistake */
  char greeting[8];     /* the first bytes that came */
  size_t greeting_bytes;
  int64_t now_ms;
  int64_t flood_left, flood_at_ms; /* frames that may still come without doing anything */
  int64_t credit_bytes;            /* of bodies, not turned into frames yet */
  int64_t fields_bytes;            /* of the block of headers that comes now */
};

enum status grpc_core_new(struct grpc_core *core, int64_t now_ms, struct error *error) WARN_UNUSED;
/* No call holds on to it any more. */
void grpc_core_release(struct grpc_core *core);
/* Opens a stream for `call`, which is put into the list. */
enum status grpc_core_request(struct grpc_core *core, struct grpc_client_call *call,
                              const nghttp2_nv *fields, size_t count,
                              struct error *error) WARN_UNUSED;
/* True when a new call may begin on it. */
bool grpc_core_usable(const struct grpc_core *core);
/* Bytes of the server's. Stops early (`paused`) when a call that is `wanted` has a whole message: the
 * bytes that are used must stay where they are until the next feed. Failures end every call. */
void grpc_core_feed(struct grpc_core *core, const uint8_t *data, size_t bytes, int64_t now_ms,
                    size_t *used);
/* Asks nghttp2 for what is to be sent. */
void grpc_core_fill(struct grpc_core *core);
/* What is to be sent first, as far as there is room; its pieces. */
size_t grpc_core_out(const struct grpc_core *core, struct iovec *pieces, size_t room);
void grpc_core_sent(struct grpc_core *core, size_t bytes);
void grpc_core_ping(struct grpc_core *core);
/* RST_STREAM. */
void grpc_core_reset(struct grpc_core *core, struct grpc_client_call *call, uint32_t code);
/* The call is no more. */
void grpc_core_forget(struct grpc_core *core, struct grpc_client_call *call);
/* There is more to send in the call's queue, or it is to be ended. */
void grpc_core_resume(struct grpc_core *core, struct grpc_client_call *call);
/* The connection is over: every call that is not, is by this. */
void grpc_core_fail(struct grpc_core *core, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* ---- the connection ------------------------------------------------------------------------ */

struct tls_session;

/* A socket, with or without TLS. */
struct grpc_wire {
  int socket; /* -1: none */
  struct tls_session *tls;
  struct buffer cipher; /* to be sent, from cipher_at on */
  size_t cipher_at;
  uint8_t *scratch; /* with TLS */
};

struct grpc_target {
  char *host, *server_name, *authority;
  char *label; /* "host:port", for messages */
  int port;
  struct tls_context *tls; /* NULL: plain text */
};

/* Tries the addresses of the name in turn, shakes hands. Blocks, at most until `until_ms`. */
enum status grpc_wire_connect(struct grpc_wire *wire, const struct grpc_target *target,
                              int64_t until_ms, struct error *error) WARN_UNUSED;
/* `*bytes` 0: nothing is there now, or (`*ended`) nothing comes any more. */
enum status grpc_wire_read(struct grpc_wire *wire, uint8_t *room, size_t room_bytes, size_t *bytes,
                           bool *ended, struct error *error) WARN_UNUSED;
/* Takes what it can: `*bytes` of all. */
enum status grpc_wire_write(struct grpc_wire *wire, const struct iovec *pieces, size_t count,
                            size_t *bytes, struct error *error) WARN_UNUSED;
/* Something of what was written waits for the socket. */
bool grpc_wire_is_full(const struct grpc_wire *wire);
/* Something can be read that poll(2) does not know of. */
bool grpc_wire_holds(const struct grpc_wire *wire);
void grpc_wire_close(struct grpc_wire *wire);

struct grpc_connection {
  struct grpc_core core;
  struct grpc_wire wire;
  char *label;
  int wake;   /* eventfd: somebody cancels */
  int owners; /* its channel, its calls */
  uint8_t *input;
  size_t input_at, input_end;
  bool more;         /* the last read was large: the next one need not be waited for */
  int64_t heard_ms;  /* when something came or went */
  int64_t pinged_ms; /* 0: no ping is out */
  int64_t keepalive_ms;
};

enum status grpc_connection_open(const struct grpc_target *target, int64_t keepalive_ms,
                                 int64_t until_ms, struct grpc_connection **connection,
                                 struct error *error) WARN_UNUSED;
/* One owner less; NULL is allowed. */
void grpc_connection_free(struct grpc_connection *connection);
/* Uses what has come, sends what the socket takes. Does not wait. */
void grpc_connection_turn(struct grpc_connection *connection);
/* Takes what has come. Does not wait. */
void grpc_connection_look(struct grpc_connection *connection);
/* Waits until something can be read or written, somebody cancels, or `until_ms` (0: never) has come;
 * then takes what is there. `since_ms`: when this wait began, for keep-alive. */
void grpc_connection_wait(struct grpc_connection *connection, int64_t until_ms, int64_t since_ms);
/* Ends the calls that somebody has cancelled. */
void grpc_connection_note_cancelled(struct grpc_connection *connection);
/* Nothing waits to be sent but what servers' windows keep back. */
bool grpc_connection_sent(const struct grpc_connection *connection);

/* ---- channels ------------------------------------------------------------------------------ */

struct grpc_channel {
  struct grpc_target target;
  int64_t connect_timeout_ms, keepalive_ms, message_bytes_max;
  struct budget *budget;
  struct grpc_connection *connection; /* NULL: none yet */
  struct grpc_client_call *calls;     /* on whichever connection */
};

/* ---- calls --------------------------------------------------------------------------------- */

struct grpc_field {
  char *name;
  char *value;
};

/* What has come and was not asked for yet. */
struct grpc_held {
  struct grpc_held *next;
  struct buffer bytes;
  int64_t at;
};

struct grpc_client_call {
  struct grpc_channel *channel; /* NULL: closed */
  struct grpc_connection *connection;
  struct grpc_core *core;
  struct grpc_client_call *next;   /* in core->calls */
  struct grpc_client_call *beside; /* in channel->calls */
  int32_t stream_id;
  int64_t deadline_ms;    /* clock_now_ms; 0: none */
  int64_t begin_total;    /* core->out_total when it began */
  _Atomic bool cancelled; /* by whoever; all else is its thread's */

  /* Sending. */
  struct buffer *queue;
  size_t queue_first, queue_count, queue_room;
  int64_t queued_bytes;
  bool closing;  /* nothing is queued behind what is */
  bool sent_end; /* nghttp2 was told that this is all */
  bool deferred; /* nghttp2 was told that there is nothing now */

  /* Receiving. */
  struct grpc_receiver receiver;
  struct budget *budget;
  int64_t message_bytes_max;
  uint8_t prefix[GRPC_PREFIX_BYTES];
  int prefix_bytes;
  bool in_message;
  int64_t left_bytes; /* of the message */
  struct buffer collected;
  struct grpc_held *held, *held_last;
  int64_t held_bytes;
  bool wanted;  /* its thread waits for a message */
  bool whole;   /* one is complete */
  bool stalled; /* STATUS_BUDGET of its window: to be told, then it goes on */
  struct error stall;

  /* The answer. */
  struct grpc_field *fields;
  size_t field_count, field_room, field_bytes;
  int http_code;
  bool head_over;

  /* The end. */
  bool ended;
  struct error end; /* status OK: well */
  bool unprocessed; /* the server has not begun with it */
};

/* What a call may wait for, until `done` or it has ended. */
void grpc_call_run(struct grpc_client_call *call,
                   bool (*done)(const struct grpc_client_call *call));
/* Ends it here: nothing that comes later counts. */
void grpc_call_end(struct grpc_client_call *call, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Gives bytes to the receiver until all are used, or a message is whole. STATUS_BUDGET with
 * call->stalled: the window had no room, the rest may be given again. Other failures are final. */
enum status grpc_receive(struct grpc_client_call *call, const uint8_t *data, size_t bytes,
                         size_t *used, struct error *error) WARN_UNUSED;
/* Keeps them until they are asked for. */
enum status grpc_hold(struct grpc_client_call *call, const uint8_t *data, size_t bytes,
                      struct error *error) WARN_UNUSED;
/* grpc_receive of what is held; `*used` bytes of it. */
enum status grpc_receive_held(struct grpc_client_call *call, size_t *used,
                              struct error *error) WARN_UNUSED;
/* What is held has a whole message in it. */
bool grpc_held_whole(const struct grpc_client_call *call);
void grpc_held_release(struct grpc_client_call *call);

/* A header or trailer. STATUS_TOO_LARGE, STATUS_NOMEM. */
enum status grpc_answer_field(struct grpc_client_call *call, const uint8_t *name, size_t name_bytes,
                              const uint8_t *value, size_t value_bytes,
                              struct error *error) WARN_UNUSED;
/* A block of fields is complete; false: the answer is no gRPC, the call was ended. */
bool grpc_answer_head(struct grpc_client_call *call, bool last);
/* The stream is closed, by this code of HTTP/2's. */
void grpc_answer_closed(struct grpc_client_call *call, uint32_t code);
void grpc_answer_release(struct grpc_client_call *call);
/* What a code of gRPC's is here; STATUS_UNKNOWN for those that do not exist. */
enum status grpc_status_of(int code);

#endif
