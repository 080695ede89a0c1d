/* GET /metrics. Printed on the loop, since it must answer while every worker waits for storage: some
 * 100 us, with a thousand streams a few milliseconds. */
#include "server/private.h"

static struct metrics_now look(const struct server *server) {
  struct metrics_now now = {
      .budget_used_bytes =
          atomic_load(&server->budget.used_bytes) + atomic_load(&server->answers.used_bytes),
      .budget_limit_bytes = server->budget.limit_bytes + server->answers.limit_bytes,
      .queries_running = server->queries.running,
      .requests = server->active_requests,
      .tasks_waiting = workers_waiting(server->workers),
      .draining = server->draining,
      .network = *http_server_stats(server->http),
  };
  storage_look(server->storage, &now.engine);
  now.tokens = storage_token_count(server->storage);
  groups_look(server->groups, &now.group_commits, &now.group_loads);
  ingest_look(server, &now.ingests, &now.ingest_queued_bytes);
  metrics_process_read(&now.process);
  return now;
}

void service_metrics(struct call *call) {
  static const struct http_header headers[] = {
      {"content-type", "text/plain; version=0.0.4; charset=utf-8"}, RESPOND_NOSNIFF};
  struct text body = TEXT_EMPTY;
  struct error error;
  struct metrics_now now = look(call->server);
  enum status status = metrics_print(call->server->metrics, &now, &body, &error);
  if (status == STATUS_OK)
    http_respond(call->exchange, 200, headers, 2, text_get(&body), body.size_bytes);
  else
    respond_problem(call->exchange, status, &error);
  text_release(&body);
}
