/* Posts one small body again and again over kept-alive connections, from one thread: each
 * connection sends its request as soon as its last one was answered. It costs little, so that
 * what is measured is the server.
 *
 *   small_posts PORT TARGET CONTENT_TYPE FILE [OPTION=VALUE]...
 *     connections=N  (64)      seconds=S (10) or requests=N: when to stop
 *     warm=S         (0)       seconds at the beginning that do not count
 *     keys=1                   a fresh Idempotency-Key with each request
 *     field=NAME     (rows)    the number of the answer that says how many rows landed
 *     rows=N         (1)       what it must be
 *     wal=PATH                 the database's write-ahead log, watched: requests that were under
 *                              way during a checkpoint are told apart
 *     windows=PATH             a line for each 100 ms goes there: second, answers, p50, p99, max
 *
 * An answer that is not 200, or that says another number of rows, is counted as an error; the
 * first of them goes to standard error. Prints one JSON object; latencies are in milliseconds. */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "socket.h"

enum {
  ANSWER_BYTES_MAX = 8192,
  HEAD_BYTES_MAX = 1024,
  CONNECTIONS_MAX = 4096,
  KEY_BYTES = 24,
  STATUS_MAX = 600,
  SPANS_MAX = 4096
};
#define WINDOW_S 0.1

struct settings {
  const char *port, *target, *content_type, *field, *wal, *windows;
  int connections, keys;
  double seconds, warm_s;
  uint64_t requests, rows;
};

struct connection {
  int fd;
  char *request; /* head and body, in one piece */
  char *key;     /* in it; NULL: no keys */
  double sent_s;
  size_t filled;
  char answer[ANSWER_BYTES_MAX];
};

/* A request that was answered as it should be. */
struct sample {
  double sent_s, answered_s;
};

/* When the log did not grow because it was being checkpointed. */
struct span {
  double first_s, last_s;
};

static struct {
  struct settings settings;
  size_t request_bytes, key_at;
  char *request;
  struct connection *connections;
  struct sample *samples;
  size_t sample_count, sample_capacity;
  uint64_t sent, answered, errors[STATUS_MAX], wrong;
  uint64_t key_prefix;
  double start_s;
  struct span spans[SPANS_MAX];
  int span_count;
  double looked_s, grew_s;
  off_t wal_bytes;
  bool shrunk; /* and has not grown since */
} bench;

static void fail(const char *what) {
  fprintf(stderr, "small_posts: %s\n", what);
  exit(1);
}

/* ---- what is sent ---------------------------------------------------------------------------- */

static void make_request(const char *path) {
  struct stat info;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &info) != 0) die(path);
  size_t body_bytes = (size_t)info.st_size;
  bench.request = malloc(HEAD_BYTES_MAX + body_bytes);
  if (bench.request == NULL) die("malloc");
  const struct settings *set = &bench.settings;
  int head = snprintf(bench.request, HEAD_BYTES_MAX,
                      "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: %s\r\n"
                      "Content-Length: %zu\r\n%s",
                      set->target, set->port, set->content_type, body_bytes,
                      set->keys ? "Idempotency-Key: " : "");
  if (head < 0 || head > HEAD_BYTES_MAX - KEY_BYTES - 8) fail("the target is too long");
  size_t at = (size_t)head;
  if (set->keys) {
    bench.key_at = at;
    memset(bench.request + at, '0', KEY_BYTES);
    memcpy(bench.request + at + KEY_BYTES, "\r\n", 2);
    at += KEY_BYTES + 2;
  }
  memcpy(bench.request + at, "\r\n", 2);
  at += 2;
  for (size_t got = 0; got < body_bytes;) {
    ssize_t bytes = read(fd, bench.request + at + got, body_bytes - got);
    if (bytes <= 0) die(path);
    got += (size_t)bytes;
  }
  close(fd);
  bench.request_bytes = at + body_bytes;
}

static void put_hex(char *at, uint64_t number, int digits) {
  for (int i = digits - 1; i >= 0; i--, number >>= 4) at[i] = "0123456789abcdef"[number & 15];
}

static void send_request(struct connection *connection, double now) {
  if (connection->key != NULL) { /* 8 digits of this run's own, 16 of the request's number */
    put_hex(connection->key, bench.key_prefix, 8);
    put_hex(connection->key + 8, bench.sent, 16);
  }
  connection->sent_s = now;
  connection->filled = 0;
  bench.sent++;
  write_all(connection->fd, connection->request, bench.request_bytes);
}

static void open_connections(int epoll) {
  int count = bench.settings.connections;
  bench.connections = calloc((size_t)count, sizeof *bench.connections);
  if (bench.connections == NULL) die("calloc");
  for (int i = 0; i < count; i++) {
    struct connection *connection = &bench.connections[i];
    connection->fd = connect_loopback(bench.settings.port);
    connection->request = malloc(bench.request_bytes);
    if (connection->request == NULL) die("malloc");
    memcpy(connection->request, bench.request, bench.request_bytes);
    if (bench.settings.keys) connection->key = connection->request + bench.key_at;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) die("epoll_ctl");
  }
}

/* ---- what is answered ------------------------------------------------------------------------ */

static void keep_sample(double sent_s, double answered_s) {
  if (bench.sample_count == bench.sample_capacity) {
    bench.sample_capacity = bench.sample_capacity == 0 ? 1 << 16 : bench.sample_capacity * 2;
    bench.samples = realloc(bench.samples, bench.sample_capacity * sizeof *bench.samples);
    if (bench.samples == NULL) die("realloc");
  }
  bench.samples[bench.sample_count++] = (struct sample){sent_s, answered_s};
}

/* The number behind "rows": in an answer's body; UINT64_MAX: there is none. */
static uint64_t rows_of(const char *body) {
  char name[64];
  snprintf(name, sizeof name, "\"%s\":", bench.settings.field);
  const char *at = strstr(body, name);
  return at == NULL ? UINT64_MAX : strtoull(at + strlen(name), NULL, 10);
}

static void judge(struct connection *connection, const char *body, double now) {
  unsigned long status = strtoul(connection->answer + strlen("HTTP/1.1 "), NULL, 10);
  bench.answered++;
  if (status == 200 && rows_of(body) == bench.settings.rows) {
    if (connection->sent_s >= bench.start_s) keep_sample(connection->sent_s, now);
    return;
  }
  if (status == 200)
    bench.wrong++;
  else
    bench.errors[status < STATUS_MAX ? status : 0]++;
  static bool told = false;
  if (!told) fprintf(stderr, "small_posts: not as it should be:\n%s\n", connection->answer);
  told = true;
}

/* True when the answer is whole. */
static bool take_answer(struct connection *connection, double now) {
  size_t room = sizeof connection->answer - 1 - connection->filled;
  if (room == 0) fail("an answer is too long");
  size_t got = read_some(connection->fd, connection->answer + connection->filled, room);
  if (got == 0) fail("the server closed a connection");
  connection->filled += got;
  connection->answer[connection->filled] = '\0';
  const char *body = strstr(connection->answer, "\r\n\r\n");
  if (body == NULL) return false;
  body += 4;
  int64_t length = content_length(connection->answer);
  if (length < 0) fail("an answer has no Content-Length");
  if ((int64_t)(connection->filled - (size_t)(body - connection->answer)) < length) return false;
  judge(connection, body, now);
  return true;
}

/* ---- checkpoints ------------------------------------------------------------------------------ */

/* The log grows with each commit. When it is found shorter, or gone, a checkpoint has happened:
 * since it was last seen growing, and until it grows again. */
static void watch_wal(double now) {
  if (bench.settings.wal == NULL || now - bench.looked_s < 0.001) return;
  bench.looked_s = now;
  struct stat info = {0};
  off_t bytes = stat(bench.settings.wal, &info) == 0 ? info.st_size : 0;
  if (bytes > bench.wal_bytes) {
    if (bench.shrunk && bench.span_count > 0) bench.spans[bench.span_count - 1].last_s = now;
    bench.shrunk = false;
    bench.grew_s = now;
  } else if (bytes < bench.wal_bytes && bench.span_count < SPANS_MAX) {
    bench.spans[bench.span_count++] = (struct span){bench.grew_s, now};
    bench.shrunk = true;
  }
  bench.wal_bytes = bytes;
}

static bool in_checkpoint(const struct sample *sample) {
  int low = 0, high = bench.span_count; /* the first span that ends after the request was sent */
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (bench.spans[middle].last_s < sample->sent_s)
      low = middle + 1;
    else
      high = middle;
  }
  return low < bench.span_count && bench.spans[low].first_s <= sample->answered_s;
}

/* ---- the run ---------------------------------------------------------------------------------- */

static double run(int epoll) {
  double begin = now_s(), end = begin + bench.settings.warm_s + bench.settings.seconds;
  bench.start_s = begin + bench.settings.warm_s;
  bench.grew_s = begin;
  uint64_t most = bench.settings.requests > 0 ? bench.settings.requests : UINT64_MAX;
  for (int i = 0; i < bench.settings.connections && bench.sent < most; i++)
    send_request(&bench.connections[i], begin);
  struct epoll_event events[256];
  double now = begin;
  while (bench.answered < bench.sent) {
    int count = epoll_wait(epoll, events, 256, 1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    now = now_s();
    watch_wal(now);
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      now = now_s();
      if (take_answer(connection, now) && bench.sent < most && now < end)
        send_request(connection, now);
    }
    if (now > end + 60) fail("answers have not come for a minute");
  }
  return now;
}

static int by_size(const void *one, const void *two) {
  double a = *(const double *)one, b = *(const double *)two;
  return (a > b) - (a < b);
}

/* Latencies in ms, sorted: from samples [first, last), without those in checkpoints if so asked. */
static size_t latencies(size_t first, size_t last, bool quiet_only, double *out) {
  size_t count = 0;
  for (size_t i = first; i < last; i++) {
    const struct sample *sample = &bench.samples[i];
    if (quiet_only && in_checkpoint(sample)) continue;
    out[count++] = (sample->answered_s - sample->sent_s) * 1e3;
  }
  qsort(out, count, sizeof *out, by_size);
  return count;
}

static double at_percent(const double *sorted, size_t count, double percent) {
  if (count == 0) return 0;
  size_t at = (size_t)((double)count * percent / 100);
  return sorted[at < count ? at : count - 1];
}

static void write_windows(double *room) {
  FILE *file = fopen(bench.settings.windows, "w");
  if (file == NULL) die(bench.settings.windows);
  for (size_t first = 0, last = 0; first < bench.sample_count; first = last) {
    double begin = bench.samples[first].answered_s;
    while (last < bench.sample_count && bench.samples[last].answered_s < begin + WINDOW_S) last++;
    size_t count = latencies(first, last, false, room);
    fprintf(file, "%.3f %zu %.3f %.3f %.3f\n", begin - bench.start_s, count,
            at_percent(room, count, 50), at_percent(room, count, 99), room[count - 1]);
  }
  fclose(file);
}

static void print_latencies(const char *name, const double *sorted, size_t count) {
  printf(", \"%s\": {\"requests\": %zu, \"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, "
         "\"max_ms\": %.3f}",
         name, count, at_percent(sorted, count, 50), at_percent(sorted, count, 90),
         at_percent(sorted, count, 99), count == 0 ? 0 : sorted[count - 1]);
}

static void print_figures(double end) {
  double *room = malloc((bench.sample_count + 1) * sizeof *room);
  if (room == NULL) die("malloc");
  double seconds = end - bench.start_s, stalled_s = 0, longest_s = 0;
  for (int i = 0; i < bench.span_count; i++) {
    double span = bench.spans[i].last_s - bench.spans[i].first_s;
    stalled_s += span;
    if (span > longest_s) longest_s = span;
  }
  printf("{\"seconds\": %.3f, \"requests\": %zu, \"requests_per_s\": %.0f, \"rows\": %llu", seconds,
         bench.sample_count, (double)bench.sample_count / seconds,
         (unsigned long long)(bench.sample_count * bench.settings.rows));
  print_latencies("all", room, latencies(0, bench.sample_count, false, room));
  if (bench.settings.wal != NULL) {
    print_latencies("outside_checkpoints", room, latencies(0, bench.sample_count, true, room));
    printf(", \"checkpoints\": %d, \"checkpoint_seconds\": %.3f, \"longest_checkpoint_ms\": %.1f",
           bench.span_count, stalled_s, longest_s * 1e3);
  }
  printf(", \"answered\": %llu, \"wrong_rows\": %llu, \"errors\": {",
         (unsigned long long)bench.answered, (unsigned long long)bench.wrong);
  const char *between = "";
  for (int i = 0; i < STATUS_MAX; i++) {
    if (bench.errors[i] == 0) continue;
    printf("%s\"%d\": %llu", between, i, (unsigned long long)bench.errors[i]);
    between = ", ";
  }
  printf("}}\n");
  if (bench.settings.windows != NULL) write_windows(room);
  free(room);
}

static void take_option(const char *text) {
  struct settings *set = &bench.settings;
  const char *value = strchr(text, '=');
  if (value == NULL) fail("options are NAME=VALUE");
  size_t bytes = (size_t)(value - text);
  value++;
#define IS(name) (bytes == strlen(name) && memcmp(text, name, bytes) == 0)
  if (IS("connections"))
    set->connections = (int)strtol(value, NULL, 10);
  else if (IS("seconds"))
    set->seconds = strtod(value, NULL);
  else if (IS("warm"))
    set->warm_s = strtod(value, NULL);
  else if (IS("requests"))
    set->requests = strtoull(value, NULL, 10);
  else if (IS("rows"))
    set->rows = strtoull(value, NULL, 10);
  else if (IS("keys"))
    set->keys = (int)strtol(value, NULL, 10);
  else if (IS("field"))
    set->field = value;
  else if (IS("wal"))
    set->wal = value;
  else if (IS("windows"))
    set->windows = value;
  else
    fail("no such option");
#undef IS
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: small_posts PORT TARGET CONTENT_TYPE FILE [OPTION=VALUE]...\n");
    return 2;
  }
  bench.settings = (struct settings){.port = argv[1],
                                     .target = argv[2],
                                     .content_type = argv[3],
                                     .field = "rows",
                                     .connections = 64,
                                     .seconds = 10,
                                     .rows = 1};
  for (int i = 5; i < argc; i++) take_option(argv[i]);
  if (bench.settings.requests > 0 && bench.settings.seconds == 10) bench.settings.seconds = 3600;
  if (bench.settings.connections < 1 || bench.settings.connections > CONNECTIONS_MAX)
    fail("connections=1 to 4096");
  if (getrandom(&bench.key_prefix, sizeof bench.key_prefix, 0) < 0) die("getrandom");
  make_request(argv[4]);
  int epoll = epoll_create1(0);
  if (epoll < 0) die("epoll_create1");
  open_connections(epoll);
  print_figures(run(epoll));
  for (int i = 0; i < bench.settings.connections; i++) {
    close(bench.connections[i].fd);
    free(bench.connections[i].request);
  }
  close(epoll);
  free(bench.connections);
  free(bench.samples);
  free(bench.request);
  return 0;
}
