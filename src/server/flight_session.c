/* Sessions: what the cookie arrow_flight_session_id stands for, and its options.
 *
 * A session begins with whatever needs it, SetSessionOptions or a temporary table, and the client is
 * told by set-cookie. It has a session of the engine only when it has temporary tables: without any its
 * statements run side by side, each in a session of its own that is told catalog and schema. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/flight_handle.h"

#define COOKIE "arrow_flight_session_id"

enum { ENDPOINTS_MAX = 64, OPTION_BYTES_MAX = TABLE_NAME_BYTES_MAX };

typedef Arrow__Flight__Protocol__SessionOptionValue Option;
typedef Arrow__Flight__Protocol__SetSessionOptionsResult Errors;
typedef Arrow__Flight__Protocol__SetSessionOptionsResult__ErrorsEntry ErrorEntry;
typedef Arrow__Flight__Protocol__SetSessionOptionsResult__Error ErrorOf;

enum {
  INVALID_NAME = ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__ERROR_VALUE__INVALID_NAME,
  INVALID_VALUE = ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__ERROR_VALUE__INVALID_VALUE
};

/* ---- the cookie --------------------------------------------------------------------------------- */

/* The id that a header "a=1; arrow_flight_session_id=..." names. */
static bool cookie_read(const char *header, char id[FLIGHT_ID_CHARS + 1]) {
  for (const char *at = header; at != NULL; at = strchr(at, ';')) {
    at += strspn(at, "; \t");
    size_t name_bytes = strcspn(at, "=;");
    if (name_bytes != strlen(COOKIE) || memcmp(at, COOKIE, name_bytes) != 0) continue;
    if (at[name_bytes] != '=') continue;
    const char *value = at + name_bytes + 1;
    value += *value == '"';
    if (strcspn(value, "\"; \t") != FLIGHT_ID_CHARS) continue;
    memcpy(id, value, FLIGHT_ID_CHARS);
    id[FLIGHT_ID_CHARS] = '\0';
    return true;
  }
  return false;
}

enum status flight_session_find(struct call *call, struct flight_session **out,
                                struct error *error) {
  const struct http_request *request = http_exchange_request(call->exchange);
  char id[FLIGHT_ID_CHARS + 1];
  *out = NULL;
  for (size_t i = 0; i < request->header_count; i++) {
    if (strcmp(request->headers[i].name, "cookie") != 0) continue;
    if (!cookie_read(request->headers[i].value, id)) continue;
    *out = flight_session_by_id(call->server->flight->sessions, id);
    if (*out != NULL) break;
  }
  if (*out == NULL || strcmp((*out)->handle.who, call->who->name) == 0) return STATUS_OK;
  flight_session_release(*out);
  *out = NULL;
  return error_set(error, STATUS_DENIED,
                   "the cookie " COOKIE " names a session that is not this user's");
}

void flight_session_release(struct flight_session *session) {
  if (session != NULL) flight_hold_release(&session->handle);
}

void flight_session_mark(const struct flight_session *session, uint8_t mark[FLIGHT_MARK_BYTES]) {
  memset(mark, 0, FLIGHT_MARK_BYTES);
  for (int i = 0; session != NULL && i < FLIGHT_ID_CHARS; i++) {
    char digit = session->handle.id[i];
    int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    mark[i / 2] = (uint8_t)(mark[i / 2] << 4 | value);
  }
}

static enum status tell_cookie(struct flight_ask *ask, const char *id, const char *more,
                               struct error *error) {
  char value[sizeof COOKIE + FLIGHT_ID_CHARS + 64];
  struct text text = TEXT_EMPTY;
  enum status status = text_add_format(&text, error, COOKIE "=%s%s", id, more);
  if (status == STATUS_OK && text.size_bytes < sizeof value) {
    memcpy(value, text_get(&text), text.size_bytes + 1);
    status = flight_answer_header(ask, "set-cookie", value, error);
  }
  text_release(&text);
  return status;
}

/* ---- sessions --------------------------------------------------------------------------------------- */

static void session_free(struct flight_handle *handle) {
  struct flight_session *session = (struct flight_session *)handle;
  engine_session_close(session->seat.session);
  free(session->catalog);
  free(session->schema);
  free(session);
}

enum status flight_session_begin(struct flight_ask *ask, struct error *error) {
  struct flight_session *session = calloc(1, sizeof *session);
  if (session == NULL) return error_set(error, STATUS_NOMEM, "no memory for a session");
  session->handle.seat = &session->seat;
  enum status status = flight_hold_init(&session->handle, FLIGHT_SESSION, ask, session_free, error);
  if (status == STATUS_OK) status = flight_hold_list(ask, &session->handle, 0, error);
  if (status == STATUS_OK) {
    status = tell_cookie(ask, session->handle.id, "; Path=/; HttpOnly", error);
    if (status != STATUS_OK) flight_hold_drop(&session->handle);
  }
  if (status == STATUS_OK)
    ask->session = session;
  else
    flight_session_release(session);
  return status;
}

static enum status need_session(const struct flight_ask *ask, struct error *error) {
  if (ask->session != NULL) return STATUS_OK;
  return error_set(error, STATUS_NOT_FOUND,
                   "the request's cookies name no session, or one that has ended: a session begins "
                   "with SetSessionOptions, whose answer sets the cookie " COOKIE
                   "; clients have to be told to keep cookies (ADBC: "
                   "adbc.flight.sql.rpc.with_cookie_middleware=true)");
}

enum status flight_close_session(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                 struct error *error) {
  (void)body; /* CloseSessionRequest says nothing */
  enum status status = need_session(ask, error);
  if (status != STATUS_OK) return status;
  Arrow__Flight__Protocol__CloseSessionResult result =
      ARROW__FLIGHT__PROTOCOL__CLOSE_SESSION_RESULT__INIT;
  result.status = ARROW__FLIGHT__PROTOCOL__CLOSE_SESSION_RESULT__STATUS__CLOSED;
  status = tell_cookie(ask, "", "; Path=/; Max-Age=0", error);
  if (status == STATUS_OK) status = flight_action_result(ask, &result.base, false, error);
  if (status == STATUS_OK) flight_hold_drop(&ask->session->handle);
  return status;
}

/* ---- options ------------------------------------------------------------------------------------------ */

/* What a session is to be told. */
struct wanted {
  char catalog[OPTION_BYTES_MAX + 1], schema[OPTION_BYTES_MAX + 1]; /* "": none */
  int endpoints;
};

/* A name: text, or nothing for "as it was". */
static bool take_name(const Option *option, char name[OPTION_BYTES_MAX + 1]) {
  const char *text = "";
  if (option != NULL &&
      option->option_value_case ==
          ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_STRING_VALUE)
    text = option->string_value;
  else if (option != NULL &&
           option->option_value_case !=
               ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE__NOT_SET)
    return false;
  size_t bytes = strlen(text);
  if (bytes > OPTION_BYTES_MAX || utf8_valid_bytes((const uint8_t *)text, bytes) != bytes)
    return false;
  memcpy(name, text, bytes + 1);
  return true;
}

/* 1 to ENDPOINTS_MAX. */
static bool take_count(const char *text, int *count) {
  int value = 0;
  if (text[0] == '\0' || strlen(text) > 2) return false;
  for (const char *at = text; *at != '\0'; at++) {
    if (*at < '0' || *at > '9') return false;
    value = value * 10 + (*at - '0');
  }
  *count = value;
  return value >= 1 && value <= ENDPOINTS_MAX;
}

static bool take_endpoints(const Option *option, int *endpoints) {
  *endpoints = 0;
  if (option == NULL) return true;
  switch (option->option_value_case) {
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE__NOT_SET: return true;
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_STRING_VALUE:
    return option->string_value[0] == '\0' || take_count(option->string_value, endpoints);
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_INT64_VALUE:
    if (option->int64_value < 1 || option->int64_value > ENDPOINTS_MAX) return false;
    *endpoints = (int)option->int64_value;
    return true;
  default: return false;
  }
}

/* Whether the engine knows them. */
static enum status try_names(struct flight_ask *ask, const char *catalog, const char *schema,
                             struct error *error) {
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  enum status status = storage_engine(ask->server->storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &session, error);
  if (status == STATUS_OK)
    status = engine_session_use(session, catalog[0] == '\0' ? NULL : catalog,
                                schema[0] == '\0' ? NULL : schema, error);
  engine_session_close(session);
  return status;
}

/* What is wrong with options, by name: at most one entry each. */
struct refusals {
  Errors message;
  ErrorEntry *entries;
  ErrorEntry **pointers;
  ErrorOf *values;
};

static enum status refusals_init(struct refusals *refusals, size_t most, struct error *error) {
  refusals->message = (Errors)ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__INIT;
  refusals->entries = calloc(most + 2, sizeof *refusals->entries);
  refusals->pointers = calloc(most + 2, sizeof *refusals->pointers);
  refusals->values = calloc(most + 2, sizeof *refusals->values);
  refusals->message.errors = refusals->pointers;
  if (refusals->entries != NULL && refusals->pointers != NULL && refusals->values != NULL)
    return STATUS_OK;
  return error_set(error, STATUS_NOMEM, "no memory for session options");
}

static void refuse(struct refusals *refusals, char *name, int why) {
  size_t at = refusals->message.n_errors;
  for (size_t i = 0; i < at; i++)
    if (strcmp(refusals->entries[i].key, name) == 0) return;
  refusals->values[at] = (ErrorOf)ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__ERROR__INIT;
  refusals->values[at].value = (unsigned)why;
  refusals->entries[at] =
      (ErrorEntry)ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__ERRORS_ENTRY__INIT;
  refusals->entries[at].key = name;
  refusals->entries[at].value = &refusals->values[at];
  refusals->pointers[at] = &refusals->entries[at];
  refusals->message.n_errors++;
}

static void refusals_release(struct refusals *refusals) {
  free(refusals->entries);
  free(refusals->pointers);
  free(refusals->values);
}

static void wanted_now(const struct flight_session *session, struct wanted *wanted) {
  memset(wanted, 0, sizeof *wanted);
  pthread_mutex_lock(&session->handle.sessions->lock);
  wanted->endpoints = session->endpoints;
  if (session->catalog != NULL) memcpy(wanted->catalog, session->catalog, strlen(session->catalog));
  if (session->schema != NULL) memcpy(wanted->schema, session->schema, strlen(session->schema));
  pthread_mutex_unlock(&session->handle.sessions->lock);
}

/* Replaces the session's options. */
static enum status settle(struct flight_session *session, const struct wanted *wanted,
                          struct error *error) {
  char *catalog = wanted->catalog[0] == '\0' ? NULL : strdup(wanted->catalog);
  char *schema = wanted->schema[0] == '\0' ? NULL : strdup(wanted->schema);
  if ((catalog == NULL && wanted->catalog[0] != '\0') ||
      (schema == NULL && wanted->schema[0] != '\0')) {
    free(catalog);
    free(schema);
    return error_set(error, STATUS_NOMEM, "no memory for session options");
  }
  pthread_mutex_lock(&session->handle.sessions->lock);
  char *old_catalog = session->catalog, *old_schema = session->schema;
  session->catalog = catalog;
  session->schema = schema;
  session->endpoints = wanted->endpoints;
  session->options++;
  pthread_mutex_unlock(&session->handle.sessions->lock);
  free(old_catalog);
  free(old_schema);
  return STATUS_OK;
}

/* Catalog and schema are looked at together: the schema is one of the catalog. */
static enum status check_names(struct flight_ask *ask, const struct wanted *before,
                               struct wanted *wanted, struct refusals *refusals,
                               struct error *error) {
  static char catalog_name[] = "catalog", schema_name[] = "schema";
  bool catalog = strcmp(before->catalog, wanted->catalog) != 0;
  bool schema = strcmp(before->schema, wanted->schema) != 0;
  if (!catalog && !schema) return STATUS_OK;
  enum status status = catalog ? try_names(ask, wanted->catalog, "", error) : STATUS_OK;
  if (status == STATUS_NOT_FOUND) {
    refuse(refusals, catalog_name, INVALID_VALUE);
    memcpy(wanted->catalog, before->catalog, sizeof wanted->catalog);
    status = STATUS_OK;
  }
  if (status == STATUS_OK && wanted->schema[0] != '\0')
    status = try_names(ask, wanted->catalog, wanted->schema, error);
  if (status != STATUS_NOT_FOUND) return status;
  refuse(refusals, schema ? schema_name : catalog_name, INVALID_VALUE);
  memcpy(wanted->schema, before->schema, sizeof wanted->schema);
  memcpy(wanted->catalog, before->catalog, sizeof wanted->catalog);
  return STATUS_OK;
}

enum status flight_set_options(struct flight_ask *ask, const ProtobufCBinaryData *body,
                               struct error *error) {
  Arrow__Flight__Protocol__SetSessionOptionsRequest *request =
      FLIGHT(set_session_options_request__unpack)(NULL, body->len, body->data);
  if (request == NULL)
    return error_set(error, STATUS_INVALID, "the action's body is no SetSessionOptionsRequest");
  struct refusals refusals = {0};
  struct wanted before, wanted;
  enum status status = refusals_init(&refusals, request->n_session_options, error);
  if (status == STATUS_OK && ask->session == NULL) status = flight_session_begin(ask, error);
  if (status != STATUS_OK) goto done;
  assert(ask->session != NULL);
  wanted_now(ask->session, &before);
  wanted = before;
  for (size_t i = 0; i < request->n_session_options; i++) {
    char *name = request->session_options[i]->key;
    const Option *value = request->session_options[i]->value;
    bool taken = true;
    struct wanted next = wanted;
    if (strcmp(name, "catalog") == 0)
      taken = take_name(value, next.catalog);
    else if (strcmp(name, "schema") == 0)
      taken = take_name(value, next.schema);
    else if (strcmp(name, "endpoints") == 0)
      taken = take_endpoints(value, &next.endpoints);
    else
      refuse(&refusals, name, INVALID_NAME);
    if (taken)
      wanted = next;
    else
      refuse(&refusals, name, INVALID_VALUE);
  }
  status = check_names(ask, &before, &wanted, &refusals, error);
  if (status == STATUS_OK) status = settle(ask->session, &wanted, error);
  if (status == STATUS_OK) status = flight_action_result(ask, &refusals.message.base, false, error);
done:
  refusals_release(&refusals);
  FLIGHT(set_session_options_request__free_unpacked)(request, NULL);
  return status;
}

enum status flight_get_options(struct flight_ask *ask, const ProtobufCBinaryData *body,
                               struct error *error) {
  (void)body; /* GetSessionOptionsRequest says nothing */
  typedef Arrow__Flight__Protocol__GetSessionOptionsResult__SessionOptionsEntry Entry;
  static char names[3][16] = {"endpoints", "catalog", "schema"};
  enum status status = need_session(ask, error);
  if (status != STATUS_OK) return status;
  struct wanted now;
  wanted_now(ask->session, &now);
  char *texts[3] = {NULL, now.catalog, now.schema};
  Option values[3];
  Entry entries[3], *pointers[3];
  Arrow__Flight__Protocol__GetSessionOptionsResult result =
      ARROW__FLIGHT__PROTOCOL__GET_SESSION_OPTIONS_RESULT__INIT;
  result.session_options = pointers;
  for (int i = 0; i < 3; i++) {
    values[i] = (Option)ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__INIT;
    if (texts[i] == NULL) {
      values[i].option_value_case =
          ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_INT64_VALUE;
      values[i].int64_value = now.endpoints == 0 ? 1 : now.endpoints;
    } else if (texts[i][0] != '\0') {
      values[i].option_value_case =
          ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_STRING_VALUE;
      values[i].string_value = texts[i];
    } else {
      continue;
    }
    entries[i] =
        (Entry)ARROW__FLIGHT__PROTOCOL__GET_SESSION_OPTIONS_RESULT__SESSION_OPTIONS_ENTRY__INIT;
    entries[i].key = names[i];
    entries[i].value = &values[i];
    pointers[result.n_session_options++] = &entries[i];
  }
  return flight_action_result(ask, &result.base, false, error);
}

/* ---- endpoints ------------------------------------------------------------------------------------------ */

int flight_endpoints_asked(const struct call *call) {
  int count = 0;
  const char *text =
      http_request_header(http_exchange_request(call->exchange), "x-arrowport-endpoints");
  if (text == NULL) return 0;
  return take_count(text, &count) ? count : -1;
}

enum status flight_session_endpoints(struct flight_ask *ask, int *endpoints, struct error *error) {
  *endpoints = ask->endpoints;
  if (ask->endpoints < 0)
    return error_set(error, STATUS_INVALID,
                     "the header x-arrowport-endpoints must be a number from 1 to %d",
                     ENDPOINTS_MAX);
  if (ask->endpoints == 0 && ask->session != NULL) {
    pthread_mutex_lock(&ask->session->handle.sessions->lock);
    *endpoints = ask->session->endpoints;
    pthread_mutex_unlock(&ask->session->handle.sessions->lock);
  }
  if (*endpoints == 0) *endpoints = 1;
  return STATUS_OK;
}
