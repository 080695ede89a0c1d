#include "server/metrics.h"

#include <stdlib.h>

struct metrics {
  int64_t requests;
};

enum status metrics_new(struct metrics **metrics, struct error *error) {
  *metrics = calloc(1, sizeof **metrics);
  if (*metrics == NULL) return error_set(error, STATUS_NOMEM, "no memory for metrics");
  return STATUS_OK;
}

void metrics_free(struct metrics *metrics) { free(metrics); }

void metrics_request(struct metrics *metrics, const char *endpoint, const char *stream,
                     const char *protocol, int code, int64_t duration_us) {
  (void)endpoint, (void)stream, (void)protocol, (void)code, (void)duration_us;
  metrics->requests++;
}

void metrics_refused(struct metrics *metrics, enum metrics_refused reason) {
  (void)metrics, (void)reason;
}
