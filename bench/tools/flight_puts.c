/* Small DoPut calls one after the other, by the client of src/flight/client.h:
 *
 *   flight_puts PORT TABLE STREAM [OPTION=VALUE]...
 *     calls=N        (1000)  on one connection, and the time of each
 *     connections=C  (1)     threads, each with a connection of its own
 *     seconds=S      (0)     instead of calls: how long
 *
 * Each call sends a descriptor, the schema and the rows of STREAM, and waits for the server's last
 * word. Prints one JSON object; latencies are in milliseconds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "base/clock.h"
#include "flight/client.h"

enum { WARM_CALLS = 20, CONNECTIONS_MAX = 256 };

struct bench {
  char url[64];
  const char *table;
  int64_t calls;
  int connections;
  double seconds;
  struct budget budget;
  struct ArrowSchema schema;
  struct arrow_shared *rows;
  pthread_barrier_t begin;
};

struct client {
  struct bench *bench;
  struct flight_client *flight;
  pthread_t thread;
  int64_t *call_us;
  int64_t count, room;
  enum status status;
  struct error error;
};

/* ---- the rows ---------------------------------------------------------------------------------- */

static enum status read_file(const char *path, struct bench *bench, struct buffer *out,
                             struct error *error) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return error_set(error, STATUS_NOT_FOUND, "%s cannot be opened", path);
  enum status status = STATUS_OK;
  uint8_t piece[4096];
  for (size_t got; status == STATUS_OK && (got = fread(piece, 1, sizeof piece, file)) > 0;)
    status = buffer_append(out, &bench->budget, piece, (int64_t)got, error);
  fclose(file);
  return status;
}

/* The first batch is what is sent. */
static enum status load(const char *path, struct bench *bench, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  struct buffer stream = BUFFER_EMPTY;
  struct ArrowArray batch = {.release = NULL};
  enum ipc_frame frame = IPC_FRAME_MESSAGE;
  int64_t at = 0;
  enum status status = read_file(path, bench, &stream, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, &bench->budget, &decoder, error);
  while (status == STATUS_OK && frame == IPC_FRAME_MESSAGE && batch.release == NULL) {
    struct ipc_message message = {.offset_bytes = 0};
    enum ipc_event event;
    status = ipc_cut(&stream, &limits, false, &at, &message, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = ipc_decoder_decode(decoder, &message, &event, &batch, error);
    ipc_message_release(&message);
  }
  if (status == STATUS_OK && batch.release == NULL)
    status = error_set(error, STATUS_INVALID, "%s has no rows", path);
  if (status == STATUS_OK)
    status = arrow_schema_copy(ipc_decoder_schema(decoder), &bench->schema, error);
  if (status == STATUS_OK) status = arrow_shared_new(&batch, &bench->rows, error);
  arrow_array_release(&batch);
  ipc_decoder_free(decoder);
  buffer_release(&stream);
  return status;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static enum status put(struct client *client, struct error *error) {
  struct bench *bench = client->bench;
  char *path[] = {(char *)(uintptr_t)bench->table};
  FlightDescriptor descriptor;
  FLIGHT(flight_descriptor__init)(&descriptor);
  descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH;
  descriptor.path = path;
  descriptor.n_path = 1;
  const struct flight_upload_options options = {.call = NULL};
  const struct ArrowArray *rows = arrow_shared_array(bench->rows);
  struct flight_upload *upload = NULL;
  struct ArrowArray batch = {.release = NULL};
  enum status status = arrow_shared_slice(bench->rows, 0, rows->length, &batch, error);
  if (status == STATUS_OK)
    status =
        flight_upload_open(client->flight, &descriptor, &bench->schema, &options, &upload, error);
  if (status == STATUS_OK) status = flight_upload_batch(upload, &batch, NULL, error);
  if (status == STATUS_OK) status = flight_upload_finish(upload, error);
  arrow_array_release(&batch);
  flight_upload_free(upload);
  return status;
}

static enum status keep(struct client *client, int64_t call_us, struct error *error) {
  if (client->count == client->room) {
    int64_t room = client->room == 0 ? 1024 : 2 * client->room;
    int64_t *grown = realloc(client->call_us, (size_t)room * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for the times");
    client->call_us = grown;
    client->room = room;
  }
  client->call_us[client->count++] = call_us;
  return STATUS_OK;
}

static enum status run(struct client *client, struct error *error) {
  struct bench *bench = client->bench;
  enum status status = STATUS_OK;
  for (int i = 0; i < WARM_CALLS && status == STATUS_OK; i++) status = put(client, error);
  pthread_barrier_wait(&bench->begin);
  int64_t end_us = clock_now_us() + (int64_t)(bench->seconds * 1e6);
  while (status == STATUS_OK) {
    int64_t begin_us = clock_now_us();
    if (bench->seconds > 0 ? begin_us >= end_us : client->count == bench->calls) break;
    status = put(client, error);
    if (status == STATUS_OK) status = keep(client, clock_now_us() - begin_us, error);
  }
  pthread_barrier_wait(&bench->begin);
  return status;
}

static void *run_thread(void *context) {
  struct client *client = context;
  client->status = run(client, &client->error);
  return NULL;
}

/* ---- figures ------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

static enum status report(struct client *clients, const struct bench *bench, int64_t span_us,
                          struct error *error) {
  struct client all = {.call_us = NULL};
  enum status status = STATUS_OK;
  for (int i = 0; i < bench->connections && status == STATUS_OK; i++) {
    status = clients[i].status;
    if (status != STATUS_OK) *error = clients[i].error;
    for (int64_t k = 0; k < clients[i].count && status == STATUS_OK; k++)
      status = keep(&all, clients[i].call_us[k], error);
  }
  if (status == STATUS_OK && all.count == 0)
    status = error_set(error, STATUS_INTERNAL, "there was no call");
  if (status == STATUS_OK) {
    qsort(all.call_us, (size_t)all.count, sizeof *all.call_us, by_time);
    printf("{\"calls\": %lld, \"seconds\": %.6f, \"calls_per_s\": %.1f, \"ms_a_call\": %.4f, "
           "\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f}\n",
           (long long)all.count, (double)span_us / 1e6, (double)all.count * 1e6 / (double)span_us,
           (double)span_us / 1e3 * bench->connections / (double)all.count,
           (double)all.call_us[all.count / 2] / 1e3,
           (double)all.call_us[all.count * 99 / 100] / 1e3,
           (double)all.call_us[all.count - 1] / 1e3);
  }
  free(all.call_us);
  return status;
}

static enum status measure(struct bench *bench, struct client *clients, struct error *error) {
  const struct flight_client_options options = {.url = bench->url, .budget = &bench->budget};
  enum status status = STATUS_OK;
  for (int i = 0; i < bench->connections && status == STATUS_OK; i++) {
    clients[i].bench = bench;
    status = flight_client_open(&options, &clients[i].flight, error);
  }
  if (status != STATUS_OK) return status;
  pthread_barrier_init(&bench->begin, NULL, (unsigned)bench->connections + 1);
  for (int i = 0; i < bench->connections; i++)
    if (pthread_create(&clients[i].thread, NULL, run_thread, &clients[i]) != 0) abort();
  pthread_barrier_wait(&bench->begin);
  int64_t begin_us = clock_now_us();
  pthread_barrier_wait(&bench->begin);
  int64_t span_us = clock_now_us() - begin_us;
  for (int i = 0; i < bench->connections; i++) pthread_join(clients[i].thread, NULL);
  return report(clients, bench, span_us, error);
}

static bool option(struct bench *bench, const char *text) {
  const char *value = strchr(text, '=');
  if (value == NULL) return false;
  value++;
  if (strncmp(text, "calls=", 6) == 0)
    bench->calls = strtoll(value, NULL, 10);
  else if (strncmp(text, "connections=", 12) == 0)
    bench->connections = (int)strtol(value, NULL, 10);
  else if (strncmp(text, "seconds=", 8) == 0)
    bench->seconds = strtod(value, NULL);
  else
    return false;
  return true;
}

int main(int count, char **texts) {
  struct bench bench = {.calls = 1000, .connections = 1, .budget = {.limit_bytes = INT64_MAX}};
  struct error error = {.status = STATUS_OK};
  bool understood = count >= 4;
  for (int i = 4; i < count && understood; i++) understood = option(&bench, texts[i]);
  if (!understood || bench.connections < 1 || bench.connections > CONNECTIONS_MAX) {
    fprintf(stderr, "flight_puts PORT TABLE STREAM [calls=N] [connections=C] [seconds=S]\n");
    return 2;
  }
  snprintf(bench.url, sizeof bench.url, "grpc://127.0.0.1:%s", texts[1]);
  bench.table = texts[2];
  struct client *clients = calloc((size_t)bench.connections, sizeof *clients);
  enum status status = clients == NULL ? error_set(&error, STATUS_NOMEM, "no memory")
                                       : load(texts[3], &bench, &error);
  if (status == STATUS_OK) status = measure(&bench, clients, &error);
  if (status != STATUS_OK) fprintf(stderr, "flight_puts: %s\n", error.text);
  for (int i = 0; clients != NULL && i < bench.connections; i++) {
    flight_client_close(clients[i].flight);
    free(clients[i].call_us);
  }
  free(clients);
  if (bench.rows != NULL) arrow_shared_release(bench.rows);
  if (bench.schema.release != NULL) bench.schema.release(&bench.schema);
  return status == STATUS_OK ? 0 : 1;
}
