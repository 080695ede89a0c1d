/* The configuration read anew while the server runs.
 *
 *   a file has changed, SIGHUP --> READING (a worker reads and checks) --> on the loop:
 *     good -> requests that begin from now on have it; those in flight keep theirs
 *     bad  -> refused whole: the old one stays; the log and /metrics say where and why
 *   a change meanwhile -> read once more afterwards
 *
 * Certificates are watched apart: they change without the configuration.
 *
 * 1. `task` runs at most once at a time; what it makes is handed over by `post`.
 * 2. What a running server cannot take up (address, database, memory) stays as it was at the
 *    start, whatever server->config says: those who use it hold the first configuration. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/private.h"

enum { TLS_FILES_MAX = 3, CONFIG_FILES_MAX = 2 };

struct reload {
  struct server *server;
  struct server_hooks hooks;
  struct server_config *first; /* the server was started with */
  struct net_watch *files;
  struct net_watch *certificates;
  struct task task;
  struct net_post post;
  bool reading;
  bool again;
  bool asked;                 /* by SIGHUP: said in the log even when nothing is different */
  struct server_config *read; /* what the task has made; NULL: `error` */
  struct tls_context *tls;    /* likewise; NULL: in the clear */
  struct error error;
};

/* ---- certificates ----------------------------------------------------------------------- */

static void on_certificates(void *context) {
  struct reload *reload = context;
  struct server *server = reload->server;
  const struct tls_options *options = &server->config->tls;
  if (server->http == NULL || options->cert_path == NULL) return;
  struct tls_context *tls = NULL;
  struct error error;
  if (tls_context_new(options, &tls, &error) != STATUS_OK) {
    log_error("tls", "the changed certificate is not taken, the old one stays: %s", error.text);
    metrics_reload(server->metrics, error.text);
    return;
  }
  http_server_set_tls(server->http, tls);
  tls_context_free(tls);
  metrics_reload(server->metrics, NULL);
  log_info("tls", "new connections get the certificate that '%s' holds now", options->cert_path);
}

static enum status watch_certificates(struct reload *reload, struct error *error) {
  const struct tls_options *options = &reload->server->config->tls;
  net_watch_free(reload->certificates);
  reload->certificates = NULL;
  if (options->cert_path == NULL) return STATUS_OK;
  const char *paths[TLS_FILES_MAX] = {options->cert_path, options->key_path,
                                      options->client_ca_path};
  return net_watch_new(reload->server->loop, paths, options->client_ca_path == NULL ? 2 : 3,
                       on_certificates, reload, &reload->certificates, error);
}

/* ---- the configuration ------------------------------------------------------------------- */

static void on_files(void *context) { reload_start(context, false); }

static enum status watch_files(struct reload *reload, struct error *error) {
  const struct server_config *config = reload->server->config;
  const char *paths[CONFIG_FILES_MAX];
  size_t count = 0;
  if (config->path != NULL) paths[count++] = config->path;
  if (config->streams_path != NULL) paths[count++] = config->streams_path;
  net_watch_free(reload->files);
  reload->files = NULL;
  if (count == 0) return STATUS_OK;
  return net_watch_new(reload->server->loop, paths, count, on_files, reload, &reload->files, error);
}

static bool same_text(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_list(const char *const *a, size_t a_count, const char *const *b, size_t b_count) {
  if (a_count != b_count) return false;
  for (size_t i = 0; i < a_count; i++)
    if (strcmp(a[i], b[i]) != 0) return false;
  return true;
}

static bool same_lakes(const struct server_config *a, const struct server_config *b) {
  if (a->lake_count != b->lake_count) return false;
  for (size_t i = 0; i < a->lake_count; i++)
    if (strcmp(a->lakes[i].backend, b->lakes[i].backend) != 0) return false;
  return true;
}

/* What is watched already is watched on: a change between two watches would be heard by none. */
static void watch_others(struct reload *reload, const struct server_config *old) {
  const struct server_config *now = reload->server->config;
  enum status status = STATUS_OK;
  struct error error;
  if (!same_text(old->path, now->path) || !same_text(old->streams_path, now->streams_path))
    status = watch_files(reload, &error);
  bool same = same_text(old->tls.cert_path, now->tls.cert_path) &&
              same_text(old->tls.key_path, now->tls.key_path) &&
              same_text(old->tls.client_ca_path, now->tls.client_ca_path);
  if (status == STATUS_OK && !same) status = watch_certificates(reload, &error);
  if (status != STATUS_OK) log_warning("config", "%s", error.text);
}

/* Settings that only a start reads. */
static void name_restarts(const struct server_config *first, const struct server_config *now) {
  const struct {
    const char *name;
    bool differs;
  } settings[] = {
      {"host", !same_text(first->host, now->host)},
      {"port", first->port != now->port},
      {"db_path", !same_text(first->db_path, now->db_path)},
      {"memory_limit", first->memory_limit_bytes != now->memory_limit_bytes},
      {"threads", first->threads != now->threads},
      {"query.memory_percent", first->query.memory_percent != now->query.memory_percent},
      {"storage_backend names another lake, which", !same_lakes(first, now)},
      {"duckdb_extensions", !same_list(first->extensions, first->extension_count, now->extensions,
                                       now->extension_count)},
  };
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
    if (settings[i].differs)
      log_warning("config", "%s has changed: that takes effect when the server is started again",
                  settings[i].name);
}

static void take_over(struct reload *reload) {
  struct server *server = reload->server;
  struct server_config *old = server->config;
  server->config = reload->read;
  reload->read = NULL;
  call_configure(server, server->config);
  storage_limit(server->storage, server->config);
  http_server_set_limits(server->http, &server->config->http);
  http_server_set_tls(server->http, reload->tls);
  name_restarts(reload->first, server->config);
  watch_others(reload, old);
  server_config_free(old);
}

/* On a worker. */
static void read_anew(void *context) {
  struct reload *reload = context;
  struct error *error = &reload->error;
  *error = (struct error){.status = STATUS_OK};
  enum status status = reload->hooks.load(reload->hooks.context, &reload->read, error);
  if (status == STATUS_OK) status = server_config_startable(reload->read, error);
  if (status == STATUS_OK && reload->read->tls.cert_path != NULL)
    status = tls_context_new(&reload->read->tls, &reload->tls, error);
  if (status != STATUS_OK) {
    server_config_free(reload->read);
    reload->read = NULL;
  }
  net_loop_post(reload->server->loop, &reload->post);
}

static void on_read(void *context) {
  struct reload *reload = context;
  struct server *server = reload->server;
  reload->reading = false;
  if (server->http == NULL) {
    server_config_free(reload->read);
    reload->read = NULL;
  } else if (reload->read == NULL) {
    log_error("config", "the changed configuration is refused, the old one stays: %s",
              reload->error.text);
    metrics_reload(server->metrics, reload->error.text);
  } else {
    take_over(reload);
    metrics_reload(server->metrics, NULL);
    log_info("config", "the configuration was read anew; %zu streams",
             server->config->stream_count);
  }
  tls_context_free(reload->tls);
  reload->tls = NULL;
  notify_ready(&server->notify);
  if (reload->again && server->http != NULL) reload_start(reload, false);
}

void reload_start(struct reload *reload, bool asked) {
  reload->again = reload->reading;
  if (reload->reading || reload->server->draining) return;
  if (asked) log_info("config", "asked to read the configuration anew");
  notify_reloading(&reload->server->notify);
  reload->reading = true;
  task_wake(&reload->task);
}

enum status reload_new(struct server *server, const struct server_hooks *hooks,
                       struct reload **reload, struct error *error) {
  struct reload *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to watch the configuration");
  made->server = server;
  made->hooks = *hooks;
  made->first = server_config_share(server->config);
  task_init(&made->task, server->workers, read_anew, made);
  made->post = (struct net_post){.run = on_read, .context = made};
  *reload = made; /* freed by reload_free from here on */
  enum status status = watch_files(made, error);
  return status == STATUS_OK ? watch_certificates(made, error) : status;
}

void reload_close(struct reload *reload) {
  if (reload == NULL) return;
  net_watch_free(reload->files);
  net_watch_free(reload->certificates);
  reload->files = NULL;
  reload->certificates = NULL;
}

void reload_free(struct reload *reload) {
  if (reload == NULL) return;
  server_config_free(reload->read);
  tls_context_free(reload->tls);
  server_config_free(reload->first);
  free(reload);
}
