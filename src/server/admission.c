/* Who is let in. In this order:
 *
 *   protected mode         while nobody has said who may ask, only this machine may
 *   Host and Origin        a stranger's page must not ask through somebody's browser
 *   credentials            a token at once; a password on a worker, since that takes 100 ms; a
 *                          handshake may bring them in what it asks (endpoint->login)
 *   (scope, stream, table: the endpoints, by server/auth.h)
 *
 * A health check (endpoint->open) needs only the second.
 *
 * A password's check takes 32 MiB and a thread, so at most LOGINS_RUNNING run at a time and the
 * others wait in line without holding a thread, with their bodies unread:
 *
 *   WAITING --first in line, one is free--> known meanwhile, or address throttled: answered
 *                                       \-> RUNNING on a worker --posted to the loop--> verdict
 *
 * 1. A login lives until both ends are over, the exchange and the check; the second one frees.
 *    Both are told on the loop's thread.
 * 2. An attempt is refused by the throttle before its credentials are looked at, and once more
 *    when its turn comes: many attempts at once are not many tries.
 * 3. Nothing of the header Authorization gets into a log or an answer; of names only those of
 *    the configuration. */
#include "server/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/grpc.h"
#include "server/auth_parts.h"
#include "server/flight.h"
#include "server/throttle.h"

enum {
  LOGINS_RUNNING = 2,       /* passwords that are checked at a time: 64 MiB */
  LOGINS_WAITING_MAX = 128, /* floods of logins: more are answered 503 */
  LOGIN_RETRY_MS = 2000,
};

static const struct identity NOBODY = {.name = "anonymous"};

const struct identity *admission_nobody(void) { return &NOBODY; }

struct login {
  struct request request;
  struct login *next; /* in line; only while WAITING */
  bool running;
  struct task task;
  struct net_post post;
  struct auth_header header;
  const struct identity *who; /* what the check has found */
  void (*admitted)(struct call *call);
  /* Of what came in a handshake, which goes on whatever the verdict; NULL: a header's. */
  void (*verdict)(void *context, const struct identity *who, const struct error *why);
  void *context;
};

struct admission {
  struct throttle *throttle;
  struct login *first; /* in line */
  struct login **end;
  int waiting;
  int running;
};

enum status admission_new(struct admission **admission, struct error *error) {
  struct admission *made = calloc(1, sizeof *made);
  *admission = made;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to start");
  made->end = &made->first;
  return throttle_new(&made->throttle, error);
}

void admission_free(struct admission *admission) {
  if (admission == NULL) return;
  throttle_free(admission->throttle);
  free(admission);
}

/* ---- refusals ---------------------------------------------------------------------------- */

/* `name`: of a user whom the configuration has; NULL: not said. */
static void log_refused(const struct call *call, const char *name, const char *reason) {
  const struct log_field fields[] = {
      {"request_id", call->id, false},
      {"client", http_exchange_peer(call->exchange)->address, false},
      {"reason", reason, false},
      {"user", name, false},
  };
  log_fields(LOG_WARNING, "auth", "credentials refused", fields, name != NULL ? 4 : 3);
}

/* 401, with the ways to say who asks (RFC 9110 section 11.6.1). */
static void refuse(struct call *call, bool wrong, const char *detail) {
  const struct auth *auth = call->config->auth;
  struct http_header basic = {"www-authenticate", "Basic realm=\"arrowport\", charset=\"UTF-8\""};
  metrics_refused(call->server->metrics, METRICS_CREDENTIALS);
  if (auth_has_tokens(auth))
    http_exchange_answer_header(call->exchange, "www-authenticate",
                                wrong ? "Bearer realm=\"arrowport\", error=\"invalid_token\""
                                      : "Bearer realm=\"arrowport\"");
  respond_problem_code(call->exchange, 401, STATUS_UNAUTHENTICATED,
                       auth_has_users(auth) ? &basic : NULL, "%s", detail);
}

static void refuse_missing(struct call *call) {
  const struct auth *auth = call->config->auth;
  refuse(call, false,
         !auth_has_users(auth)    ? "this server wants to know who asks: send a token "
                                    "(Authorization: Bearer TOKEN)"
         : !auth_has_tokens(auth) ? "this server wants to know who asks: send a user's name and "
                                    "password (Authorization: Basic)"
                                  : "this server wants to know who asks: send a token "
                                    "(Authorization: Bearer TOKEN) or a user's name and password "
                                    "(Authorization: Basic)");
}

/* Credentials were wrong: counted against the address. */
static void count_wrong(struct call *call, const char *name, const char *detail) {
  const char *address = http_exchange_peer(call->exchange)->address;
  throttle_failed(call->server->admission->throttle, address, clock_now_ms());
  log_refused(call, name, detail);
}

static void refuse_wrong(struct call *call, const char *name, const char *detail) {
  count_wrong(call, name, detail);
  refuse(call, true, detail);
}

/* Seconds that the address has to wait; 0: none. */
static int64_t throttled_s(struct call *call, struct error *error) {
  const char *address = http_exchange_peer(call->exchange)->address;
  int64_t wait_ms = throttle_wait_ms(call->server->admission->throttle, address, clock_now_ms());
  if (wait_ms == 0) return 0;
  int64_t wait_s = (wait_ms + 999) / 1000;
  metrics_refused(call->server->metrics, METRICS_THROTTLED);
  error_set(error, STATUS_BUDGET,
            "too many wrong credentials have come from this address; these were not looked at, try "
            "again in %lld s",
            (long long)wait_s);
  return wait_s;
}

/* True when the address has to wait, and was told so. */
static bool throttled(struct call *call) {
  struct error error;
  int64_t wait_s = throttled_s(call, &error);
  if (wait_s == 0) return false;
  char seconds[24];
  snprintf(seconds, sizeof seconds, "%lld", (long long)wait_s);
  struct http_header retry = {"retry-after", seconds};
  respond_problem_code(call->exchange, 429, STATUS_UNAUTHENTICATED, &retry, "%s", error.text);
  return true;
}

static void admit(struct call *call, const struct identity *who,
                  void (*admitted)(struct call *call)) {
  throttle_succeeded(call->server->admission->throttle,
                     http_exchange_peer(call->exchange)->address);
  call->who = who;
  admitted(call);
}

/* ---- passwords ---------------------------------------------------------------------------- */

static void login_free(struct login *login) {
  auth_header_release(&login->header);
  request_end(&login->request);
  free(login);
}

static void login_run(void *context) {
  struct login *login = context;
  login->who =
      auth_password(login->request.config->auth, login->header.name, login->header.password);
  task_retire(&login->task);
  net_loop_post(login->request.server->loop, &login->post);
}

static const char WRONG_PASSWORD[] = "there is no user of this name and password";

/* The name of a user whom the configuration has, which may be logged; NULL: of none. */
static const char *known_name(const struct login *login) {
  const char *name = login->header.name;
  return auth_knows(login->request.config->auth, name) ? name : NULL;
}

/* A handshake's. */
static void tell_verdict(struct login *login, struct call *call) {
  struct error error = {.status = STATUS_OK};
  const struct identity *who = login->who;
  if (who != NULL) {
    throttle_succeeded(call->server->admission->throttle,
                       http_exchange_peer(call->exchange)->address);
  } else {
    count_wrong(call, known_name(login), WRONG_PASSWORD);
    metrics_refused(call->server->metrics, METRICS_CREDENTIALS);
    error_set(&error, STATUS_UNAUTHENTICATED, "%s", WRONG_PASSWORD);
  }
  login->verdict(login->context, who, &error);
}

/* The verdict: the exchange goes on without the login. */
static void login_over(struct login *login) {
  struct call *call = login->request.call;
  if (call != NULL && login->verdict != NULL) {
    tell_verdict(login, call);
  } else if (call != NULL) {
    request_untie(&login->request);
    if (login->who != NULL)
      admit(call, login->who, login->admitted);
    else
      refuse_wrong(call, known_name(login), WRONG_PASSWORD);
  }
  login_free(login);
}

/* The first in line, if its turn has come. */
static struct login *next_login(struct admission *admission) {
  struct login *login = admission->first;
  if (login == NULL || admission->running == LOGINS_RUNNING) return NULL;
  admission->first = login->next;
  if (admission->first == NULL) admission->end = &admission->first;
  admission->waiting--;
  return login;
}

/* True when the address has to wait by now, and was told so. */
static bool login_throttled(struct login *login) {
  struct call *call = login->request.call;
  struct error error;
  if (login->verdict != NULL) {
    if (throttled_s(call, &error) == 0) return false;
    login->verdict(login->context, NULL, &error);
  } else {
    if (!throttled(call)) return false;
    request_untie(&login->request);
  }
  login_free(login);
  return true;
}

static void start_logins(struct admission *admission) {
  for (struct login *login; (login = next_login(admission)) != NULL;) {
    login->who = auth_password_known(login->request.config->auth, login->header.name,
                                     login->header.password);
    if (login->who != NULL) {
      login_over(login);
    } else if (!login_throttled(login)) {
      login->running = true;
      admission->running++;
      task_wake(&login->task);
    }
  }
}

static void on_checked(void *context) {
  struct login *login = context;
  struct admission *admission = login->request.server->admission;
  admission->running--;
  login_over(login);
  start_logins(admission);
}

/* The exchange is over before the verdict. */
static void login_finished(struct request *request) {
  struct login *login = (struct login *)request;
  struct admission *admission = request->server->admission;
  if (login->running) return; /* on_checked frees it */
  struct login **link = &admission->first;
  while (*link != login) link = &(*link)->next;
  *link = login->next;
  if (*link == NULL) admission->end = link;
  admission->waiting--;
  login_free(login);
}

/* NULL: `error` says why. */
static struct login *login_new(struct call *call, struct error *error) {
  struct login *login = NULL;
  if (call->server->admission->waiting == LOGINS_WAITING_MAX) {
    error_set(error, STATUS_UNAVAILABLE, "too many passwords are being checked; try again");
    error->retry_after_ms = LOGIN_RETRY_MS;
    return NULL;
  }
  login = calloc(1, sizeof *login);
  if (login == NULL) {
    error_set(error, STATUS_NOMEM, "no memory for a request");
    return NULL;
  }
  login->post = (struct net_post){.run = on_checked, .context = login};
  task_init(&login->task, call->server->workers, login_run, login);
  return login;
}

/* Takes the header over, and gets in line. */
static void login_wait(struct login *login, struct auth_header *header) {
  struct admission *admission = login->request.server->admission;
  login->header = *header;
  *header = (struct auth_header){.scheme = AUTH_SCHEME_NONE};
  *admission->end = login;
  admission->end = &login->next;
  admission->waiting++;
}

static void login_start(struct call *call, struct auth_header *header,
                        void (*admitted)(struct call *call)) {
  const struct identity *known =
      auth_password_known(call->config->auth, header->name, header->password);
  if (known != NULL) {
    admit(call, known, admitted);
    return;
  }
  struct error error = {.status = STATUS_OK};
  struct login *login = login_new(call, &error);
  if (login == NULL) {
    respond_problem(call->exchange, error.status, &error);
    return;
  }
  request_begin(&login->request, call, login_finished);
  login->admitted = admitted;
  login_wait(login, header);
  http_body_wait(call->exchange);
  start_logins(call->server->admission);
}

/* ---- passwords of a handshake -------------------------------------------------------------------- */

/* As a header would hold them. */
static bool header_of(const char *name, const char *password, struct auth_header *header) {
  size_t name_bytes = strlen(name) + 1, password_bytes = strlen(password) + 1;
  *header = (struct auth_header){.scheme = AUTH_SCHEME_BASIC,
                                 .memory_bytes = name_bytes + password_bytes};
  header->memory = malloc(header->memory_bytes);
  if (header->memory == NULL) return false;
  memcpy(header->memory, name, name_bytes);
  memcpy(header->memory + name_bytes, password, password_bytes);
  header->name = header->memory;
  header->password = header->memory + name_bytes;
  return true;
}

void admission_login(struct call *call, const char *name, const char *password,
                     void (*verdict)(void *context, const struct identity *who,
                                     const struct error *why),
                     void *context, struct login **under_way) {
  struct error error = {.status = STATUS_OK};
  struct auth_header header = {.scheme = AUTH_SCHEME_NONE};
  struct login *login = NULL;
  *under_way = NULL;
  if (throttled_s(call, &error) == 0) login = login_new(call, &error);
  if (login != NULL && !header_of(name, password, &header)) {
    free(login);
    login = NULL;
    error_set(&error, STATUS_NOMEM, "no memory for a request");
  }
  if (login == NULL) {
    verdict(context, NULL, &error);
    return;
  }
  /* The call stays that of the handshake, which tells when it is over. */
  login->request = (struct request){.server = call->server,
                                    .config = server_config_share(call->config),
                                    .call = call,
                                    .exchange = call->exchange};
  call->server->active_requests++;
  login->verdict = verdict;
  login->context = context;
  login_wait(login, &header);
  *under_way = login;
  start_logins(call->server->admission);
}

void admission_forget(struct login *login) {
  login->request.call = NULL;
  login->request.exchange = NULL;
  login_finished(&login->request);
}

/* ---- the way in ------------------------------------------------------------------------------ */

/* While nobody has said who may ask. A client certificate that must be there says it too. */
static bool is_open(const struct server_config *config, const struct http_peer *peer) {
  return peer->loopback || auth_configured(config->auth) ||
         (config->tls.client_ca_path != NULL && config->tls.client_required);
}

/* Health checks: they say nothing that an open port does not say too. */
static bool is_for_all(const struct call *call) {
  return call->endpoint != NULL && call->endpoint->open;
}

/* Protected mode, Host and Origin; answers when it is not to go on. */
static bool check_place(struct call *call) {
  const struct http_request *request = http_exchange_request(call->exchange);
  const struct http_peer *peer = http_exchange_peer(call->exchange);
  struct error error;
  enum status status = STATUS_OK;
  if (!is_for_all(call) && !is_open(call->config, peer)) {
    metrics_refused(call->server->metrics, METRICS_PROTECTED);
    status = error_set(
        &error, STATUS_DENIED,
        "this server is in protected mode: nobody has configured who may ask, so it serves only "
        "clients on its own machine. Two ways to change that: configure a token or a user (under "
        "auth.tokens or auth.users), or require client certificates (tls.client_ca); from its own "
        "machine, or through a tunnel to it (ssh -L), it can be asked as it is");
  } else {
    status = access_check(request, peer, call->config, &error);
    if (status != STATUS_OK) metrics_refused(call->server->metrics, METRICS_HOST);
  }
  if (status != STATUS_OK) respond_problem(call->exchange, status, &error);
  return status == STATUS_OK;
}

/* A browser's question whether a page that the configuration lists may ask; answered if it is. */
static bool answer_preflight(struct call *call, const char *origin) {
  const struct http_request *request = http_exchange_request(call->exchange);
  if (origin == NULL || call->endpoint == NULL || strcmp(request->method, "OPTIONS") != 0 ||
      http_request_header(request, "access-control-request-method") == NULL)
    return false;
  const struct http_header headers[] = {
      {"access-control-allow-methods", call->endpoint->methods},
      {"access-control-allow-headers",
       "authorization, content-type, content-encoding, accept, idempotency-key"},
      {"access-control-max-age", "600"},
  };
  http_respond(call->exchange, 204, headers, sizeof headers / sizeof headers[0], NULL, 0);
  return true;
}

/* The one header Authorization; two would let two readers see different ones. */
static const char *authorization(const struct http_request *request, bool *doubled) {
  const char *found = NULL;
  for (size_t i = 0; i < request->header_count; i++) {
    if (strcmp(request->headers[i].name, "authorization") != 0) continue;
    *doubled = found != NULL;
    found = request->headers[i].value;
  }
  return found;
}

static void check_credentials(struct call *call, struct auth_header *header,
                              void (*admitted)(struct call *call)) {
  switch (header->scheme) {
  case AUTH_SCHEME_NONE:
    if (call->endpoint != NULL && call->endpoint->login) {
      call->who = &NOBODY;
      admitted(call);
    } else {
      refuse_missing(call);
    }
    break;
  case AUTH_SCHEME_BROKEN:
    refuse_wrong(call, NULL,
                 "the header Authorization is not well formed; write `Bearer TOKEN`, or `Basic` "
                 "and NAME:PASSWORD in base64");
    break;
  case AUTH_SCHEME_BASIC: login_start(call, header, admitted); break;
  case AUTH_SCHEME_BEARER: {
    const struct identity *who = auth_token(call->config->auth, header->token);
    if (who == NULL)
      who = flight_login_find(call->server->flight->logins, call->config, header->token);
    if (who != NULL)
      admit(call, who, admitted);
    else
      refuse_wrong(call, NULL, "the token is none that this server knows");
    break;
  }
  }
}

/* What clients of Flight send that got a token from the older form of the handshake: the token in
 * base64, as gRPC sends what need not be text. As the header Authorization would say it, malloc'd; NULL:
 * there is none. */
static char *token_bin(const struct http_request *request) {
  static const char bearer[] = "Bearer ";
  const char *value = http_request_header(request, "auth-token-bin");
  if (value == NULL) return NULL;
  size_t text_bytes = strlen(value);
  while (text_bytes > 0 && value[text_bytes - 1] == '=') text_bytes--; /* padded or not */
  char *made = malloc(sizeof bearer + text_bytes);
  size_t bytes = 0;
  if (made == NULL) return NULL;
  memcpy(made, bearer, sizeof bearer);
  char *token = made + sizeof bearer - 1;
  /* What cannot be read is a token that nobody has. */
  if (!auth_base64_decode(value, text_bytes, false, (uint8_t *)token, text_bytes, &bytes))
    bytes = 0;
  token[bytes] = '\0';
  return made;
}

void admission_start(struct call *call, void (*admitted)(struct call *call)) {
  const struct http_request *request = http_exchange_request(call->exchange);
  const struct server_config *config = call->config;
  if (!check_place(call)) return;
  const char *origin = access_origin(request, config);
  if (origin != NULL) {
    http_exchange_answer_header(call->exchange, "access-control-allow-origin", origin);
    http_exchange_answer_header(call->exchange, "vary", "origin");
    http_exchange_answer_header(call->exchange, "access-control-expose-headers",
                                "x-request-id, retry-after, idempotent-replayed");
  }
  if (answer_preflight(call, origin)) return;
  if (is_for_all(call) || !auth_configured(config->auth)) {
    bool near = http_exchange_peer(call->exchange)->loopback;
    call->who = is_for_all(call) ? &NOBODY : near ? &IDENTITY_LOCAL : &IDENTITY_CERTIFICATE;
    admitted(call);
    return;
  }
  bool doubled = false;
  const char *value = authorization(request, &doubled);
  char *made = value == NULL && grpc_is_call(call->exchange) ? token_bin(request) : NULL;
  if (made != NULL) value = made;
  if (value != NULL && throttled(call)) {
    free(made);
    return;
  }
  struct auth_header header;
  struct error error;
  enum status status = auth_header_parse(value, &header, &error);
  if (made != NULL) OPENSSL_cleanse(made, strlen(made));
  free(made);
  if (status != STATUS_OK) {
    respond_problem(call->exchange, status, &error);
    return;
  }
  if (doubled) header.scheme = AUTH_SCHEME_BROKEN;
  check_credentials(call, &header, admitted);
  auth_header_release(&header);
}
