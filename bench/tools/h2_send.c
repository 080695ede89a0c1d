/* As http_send, over HTTP/2 (libnghttp2): posts a file from memory as one stream of one
 * connection. The bytes are sent from where they lie, by writev; frames are as large as the
 * receiver takes.
 *
 *   h2_send PORT TARGET CONTENT_TYPE FILE
 *
 * Prints one JSON object: seconds from the first byte to the last of the answer, body
 * bytes, status, and the answer. */
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "socket.h"

enum { FRAME_HEAD_BYTES = 9, ANSWER_BYTES_MAX = 1 << 16, READ_BYTES = 1 << 16 };

struct sender {
  int fd;
  const char *data;
  size_t bytes;
  size_t at;
  char status[4];
  char answer[ANSWER_BYTES_MAX];
  size_t answer_bytes;
  bool over;
};

static void wait_for(int fd, short events) {
  struct pollfd poll_fd = {.fd = fd, .events = events};
  while (poll(&poll_fd, 1, -1) < 0 && errno == EINTR) {
  }
}

/* All of it, although the socket does not block. */
static void write_parts(int fd, struct iovec *parts, int count) {
  while (count > 0) {
    ssize_t wrote = writev(fd, parts, count);
    if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) {
      wait_for(fd, POLLOUT);
      continue;
    }
    if (wrote < 0) die("writev");
    while (count > 0 && (size_t)wrote >= parts->iov_len) {
      wrote -= (ssize_t)parts->iov_len;
      parts++;
      count--;
    }
    if (count > 0) {
      parts->iov_base = (char *)parts->iov_base + wrote;
      parts->iov_len -= (size_t)wrote;
    }
  }
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t bytes, int flags,
                       void *context) {
  (void)session;
  (void)flags;
  struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
  write_parts(((struct sender *)context)->fd, &part, 1);
  return (ssize_t)bytes;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t bytes, nghttp2_data_source *source, void *context) {
  (void)session;
  (void)frame;
  (void)source;
  struct sender *sender = context;
  struct iovec parts[] = {
      {.iov_base = (void *)(uintptr_t)head, .iov_len = FRAME_HEAD_BYTES},
      {.iov_base = (void *)(uintptr_t)(sender->data + sender->at), .iov_len = bytes}};
  write_parts(sender->fd, parts, 2);
  sender->at += bytes;
  return 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *room, size_t room_bytes,
                       uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)session;
  (void)stream;
  (void)room;
  (void)source;
  const struct sender *sender = context;
  size_t left = sender->bytes - sender->at;
  size_t bytes = left < room_bytes ? left : room_bytes;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (bytes == left) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)bytes;
}

static ssize_t on_frame_bytes(nghttp2_session *session, uint8_t type, int32_t stream,
                              int32_t session_window, int32_t stream_window, uint32_t frame_bytes,
                              void *context) {
  (void)session;
  (void)type;
  (void)stream;
  (void)context;
  int32_t bytes = session_window < stream_window ? session_window : stream_window;
  return bytes < (int32_t)frame_bytes ? bytes : (ssize_t)frame_bytes;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *context) {
  (void)session;
  (void)frame;
  (void)flags;
  struct sender *sender = context;
  if (name_bytes == 7 && memcmp(name, ":status", 7) == 0 && value_bytes == 3)
    memcpy(sender->status, value, 3);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t bytes, void *context) {
  (void)session;
  (void)flags;
  (void)stream;
  struct sender *sender = context;
  if (bytes > sizeof sender->answer - 1 - sender->answer_bytes)
    bytes = sizeof sender->answer - 1 - sender->answer_bytes;
  memcpy(sender->answer + sender->answer_bytes, data, bytes);
  sender->answer_bytes += bytes;
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context) {
  (void)session;
  (void)stream;
  if (code != NGHTTP2_NO_ERROR) fprintf(stderr, "the stream was reset: %u\n", code);
  ((struct sender *)context)->over = true;
  return 0;
}

static nghttp2_nv field(const char *name, const char *value) {
  return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                      strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static nghttp2_session *begin(struct sender *sender, char **argv) {
  nghttp2_session_callbacks *callbacks;
  nghttp2_session *session;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) die("nghttp2");
  nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_frame_bytes);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  if (nghttp2_session_client_new(&session, callbacks, sender) != 0) die("nghttp2");
  nghttp2_session_callbacks_del(callbacks);
  char length[32];
  snprintf(length, sizeof length, "%zu", sender->bytes);
  const nghttp2_nv fields[] = {field(":method", "POST"),         field(":scheme", "http"),
                               field(":authority", "127.0.0.1"), field(":path", argv[2]),
                               field("content-type", argv[3]),   field("content-length", length)};
  const nghttp2_data_provider body = {.read_callback = on_read};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
  if (nghttp2_submit_request(session, NULL, fields, sizeof fields / sizeof fields[0], &body, NULL) <
      0)
    die("nghttp2");
  return session;
}

int main(int argc, char **argv) {
  static struct sender sender;
  struct stat info;
  if (argc != 5) {
    fprintf(stderr, "usage: h2_send PORT TARGET CONTENT_TYPE FILE\n");
    return 2;
  }
  int file = open(argv[4], O_RDONLY);
  if (file < 0 || fstat(file, &info) != 0) die(argv[4]);
  sender.bytes = (size_t)info.st_size;
  sender.data = mmap(NULL, sender.bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (sender.data == MAP_FAILED) die(argv[4]);
  sender.fd = connect_loopback(argv[1]);
  if (fcntl(sender.fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl");

  double start = now_s();
  nghttp2_session *session = begin(&sender, argv);
  static uint8_t room[READ_BYTES];
  while (!sender.over) {
    ssize_t got = recv(sender.fd, room, sizeof room, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) die("recv");
    if (got > 0 && nghttp2_session_mem_recv(session, room, (size_t)got) < 0) die("nghttp2");
    if (nghttp2_session_send(session) != 0) die("nghttp2");
    if (!sender.over && got < 0) wait_for(sender.fd, POLLIN);
  }
  double end = now_s();
  printf("{\"seconds\": %.6f, \"bytes\": %zu, \"status\": %s, \"answer\": %s}\n", end - start,
         sender.bytes, sender.status, sender.answer[0] == '{' ? sender.answer : "null");
  nghttp2_session_del(session);
  return 0;
}
