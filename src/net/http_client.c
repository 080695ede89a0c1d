#include "net/http_client.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/file.h"
#include "base/text.h"

enum { CONNECT_TIMEOUT_MS = 10000, TRANSFER_BYTES = 512 * 1024 };

/* ---- libcurl, loaded late ------------------------------------------------------ */

#define CURL_FUNCTIONS(X)                                                                          \
  X(global_init)                                                                                   \
  X(easy_init)                                                                                     \
  X(easy_setopt)                                                                                   \
  X(easy_perform)                                                                                  \
  X(easy_getinfo)                                                                                  \
  X(easy_header)                                                                                   \
  X(easy_reset)                                                                                    \
  X(easy_cleanup)                                                                                  \
  X(easy_strerror)                                                                                 \
  X(slist_append)                                                                                  \
  X(slist_free_all)

static struct {
#define X(name) __typeof__(curl_##name) *(name);
  CURL_FUNCTIONS(X)
#undef X
} curl;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static enum status load_status;
static struct error load_error;

static void load(void) {
  static const struct {
    const char *name;
    void *slot;
  } functions[] = {
#define X(name) {"curl_" #name, &curl.name},
      CURL_FUNCTIONS(X)
#undef X
  };
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    load_status = error_set(&load_error, STATUS_UNAVAILABLE,
                            "libcurl.so.4 cannot be loaded; install libcurl (Debian: libcurl4). "
                            "The system says: %s",
                            dlerror());
    return;
  }
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    void *function = dlsym(library, functions[i].name);
    if (function == NULL) {
      load_status =
          error_set(&load_error, STATUS_UNAVAILABLE,
                    "libcurl.so.4 is too old: it has no %s; 7.88 does", functions[i].name);
      return;
    }
    memcpy(functions[i].slot, &function, sizeof function);
  }
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    load_status = error_set(&load_error, STATUS_UNAVAILABLE, "libcurl does not start");
}

/* ---- clients -------------------------------------------------------------------- */

/* The strings of struct http_client_access that are kept. */
enum { CA_PATH, CERT_PATH, KEY_PATH, TOKEN, USER, PASSWORD, STRINGS };

struct http_client {
  CURL *handle;
  char *access[STRINGS];
  bool insecure;
  bool http1;
  char detail[CURL_ERROR_SIZE]; /* what libcurl says of the last failure */
};

enum status http_client_new(struct http_client **client, struct error *error) {
  pthread_once(&load_once, load);
  if (load_status != STATUS_OK) return error_set(error, load_status, "%s", load_error.text);
  struct http_client *made = calloc(1, sizeof *made);
  if (made != NULL) made->handle = curl.easy_init();
  if (made == NULL || made->handle == NULL) {
    free(made);
    return error_set(error, STATUS_NOMEM, "no memory for an HTTP client");
  }
  *client = made;
  return STATUS_OK;
}

static void forget_access(struct http_client *client) {
  for (size_t i = 0; i < STRINGS; i++) {
    if (client->access[i] != NULL) explicit_bzero(client->access[i], strlen(client->access[i]));
    free(client->access[i]);
    client->access[i] = NULL;
  }
  client->insecure = false;
  client->http1 = false;
}

void http_client_free(struct http_client *client) {
  if (client == NULL) return;
  curl.easy_cleanup(client->handle);
  forget_access(client);
  free(client);
}

/* libcurl alone would say of a file that is not there that it has a "problem". */
static enum status check_readable(const char *what, const char *path, struct error *error) {
  if (path == NULL) return STATUS_OK;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    enum status status = file_failed(errno, error);
    error_at(error, "%s '%.300s'", what, path);
    return status;
  }
  close(file);
  return STATUS_OK;
}

static bool is_printable(const char *text) {
  for (; text != NULL && *text != '\0'; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7F) return false;
  return true;
}

static enum status check_access(const struct http_client_access *access, struct error *error) {
  if (access->token != NULL && access->user != NULL)
    return error_set(error, STATUS_INVALID, "give a token or a user, not both");
  if (access->token != NULL && (*access->token == '\0' || strchr(access->token, ' ') != NULL ||
                                !is_printable(access->token)))
    return error_set(error, STATUS_INVALID,
                     "the token is empty or holds spaces or control characters: it cannot be sent");
  if (access->user != NULL && (*access->user == '\0' || strchr(access->user, ':') != NULL ||
                               !is_printable(access->user) || !is_printable(access->password)))
    return error_set(error, STATUS_INVALID,
                     "the user is empty or holds a colon, or user or password hold control "
                     "characters: they cannot be sent");
  if (access->key_path != NULL && access->cert_path == NULL)
    return error_set(error, STATUS_INVALID, "a private key needs its certificate beside it");
  enum status status = check_readable("CA file", access->ca_path, error);
  if (status == STATUS_OK) status = check_readable("certificate", access->cert_path, error);
  if (status == STATUS_OK) status = check_readable("private key", access->key_path, error);
  return status;
}

enum status http_client_set_access(struct http_client *client,
                                   const struct http_client_access *access, struct error *error) {
  const char *strings[STRINGS] = {
      [CA_PATH] = access->ca_path, [CERT_PATH] = access->cert_path, [KEY_PATH] = access->key_path,
      [TOKEN] = access->token,     [USER] = access->user,           [PASSWORD] = access->password,
  };
  enum status status = check_access(access, error);
  if (status != STATUS_OK) return status;
  forget_access(client);
  for (size_t i = 0; i < STRINGS; i++) {
    if (strings[i] == NULL) continue;
    client->access[i] = strdup(strings[i]);
    if (client->access[i] == NULL) {
      forget_access(client);
      return error_set(error, STATUS_NOMEM, "no memory for an HTTP client");
    }
  }
  client->insecure = access->insecure;
  client->http1 = access->http1;
  return STATUS_OK;
}

/* ---- one request ------------------------------------------------------------------ */

/* What the callbacks know. */
struct transfer {
  const struct http_client_request *request;
  struct http_client *client;
  size_t sent_bytes; /* of a whole body */
  bool sent_all;
  enum status status; /* of a callback of the caller's that failed */
  struct error *error;
};

static size_t on_read(char *room, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  const struct http_client_request *request = transfer->request;
  size_t bytes = 0;
  if (request->read_body != NULL) {
    transfer->status =
        request->read_body(request->context, room, size * count, &bytes, transfer->error);
    if (transfer->status != STATUS_OK) return CURL_READFUNC_ABORT;
  } else {
    bytes = request->body_bytes - transfer->sent_bytes;
    if (bytes > size * count) bytes = size * count;
    if (bytes > 0) memcpy(room, (const char *)request->body + transfer->sent_bytes, bytes);
    transfer->sent_bytes += bytes;
  }
  transfer->sent_all =
      bytes == 0 || (request->read_body == NULL && transfer->sent_bytes == request->body_bytes);
  return bytes;
}

static int answer_code(struct http_client *client) {
  long code = 0;
  curl.easy_getinfo(client->handle, CURLINFO_RESPONSE_CODE, &code);
  return (int)code;
}

static size_t on_answer(char *data, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  const struct http_client_request *request = transfer->request;
  if (request->answer == NULL || size * count == 0) return size * count;
  transfer->status = request->answer(request->context, answer_code(transfer->client), data,
                                     size * count, transfer->error);
  return transfer->status == STATUS_OK ? size * count : CURL_WRITEFUNC_ERROR;
}

static enum status add_header(struct curl_slist **list, const struct http_header *header,
                              struct error *error) {
  struct text line = TEXT_EMPTY;
  enum status status = text_add_format(&line, error, "%s: %s", header->name, header->value);
  struct curl_slist *longer =
      status == STATUS_OK ? curl.slist_append(*list, text_get(&line)) : NULL;
  if (status == STATUS_OK && longer == NULL)
    status = error_set(error, STATUS_NOMEM, "no memory for a header");
  if (longer != NULL) *list = longer;
  text_release(&line);
  return status;
}

static bool has_body(const struct http_client_request *request) {
  return request->body != NULL || request->read_body != NULL;
}

#define SET(option, value) ok = ok && curl.easy_setopt(handle, (option), (value)) == CURLE_OK

static bool set_access(const struct http_client *client) {
  CURL *handle = client->handle;
  char *const *access = client->access;
  bool ok = true;
  if (client->http1) SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (client->insecure) {
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (access[CA_PATH] != NULL) {
    SET(CURLOPT_CAINFO, access[CA_PATH]);
    SET(CURLOPT_CAPATH, NULL); /* nobody but these */
  }
  if (access[CERT_PATH] != NULL) {
    SET(CURLOPT_SSLCERT, access[CERT_PATH]);
    SET(CURLOPT_SSLKEY, access[KEY_PATH] != NULL ? access[KEY_PATH] : access[CERT_PATH]);
    SET(CURLOPT_KEYPASSWD, ""); /* else OpenSSL asks on the terminal for the key's */
  }
  if (access[TOKEN] != NULL) {
    SET(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    SET(CURLOPT_XOAUTH2_BEARER, access[TOKEN]);
  } else if (access[USER] != NULL) {
    SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC); /* one alone: sent at once, not after a 401 */
    SET(CURLOPT_USERNAME, access[USER]);
    SET(CURLOPT_PASSWORD, access[PASSWORD] != NULL ? access[PASSWORD] : "");
  }
  return ok;
}

/* Every option; libcurl copies the strings. False: one is not known to this libcurl. */
static bool set_options(struct http_client *client, const struct http_client_request *request,
                        struct curl_slist *headers, struct transfer *transfer) {
  CURL *handle = client->handle;
  bool ok = true;
  long connect_ms =
      (long)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS);
  curl.easy_reset(handle); /* the connection stays */
  SET(CURLOPT_URL, request->url);
  client->detail[0] = '\0';
  SET(CURLOPT_ERRORBUFFER, client->detail);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS); /* 1.1 without TLS */
  SET(CURLOPT_PROXY, ""); /* whatever http_proxy says: the server was named */
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
  SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
  /* Refused while a buffer of the last request is still there, which then serves. */
  curl.easy_setopt(handle, CURLOPT_BUFFERSIZE, (long)TRANSFER_BYTES);
  curl.easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, (long)TRANSFER_BYTES);
  SET(CURLOPT_WRITEFUNCTION, on_answer);
  SET(CURLOPT_WRITEDATA, transfer);
  if (has_body(request)) {
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, transfer);
    if (request->read_body == NULL) SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
  }
  SET(CURLOPT_CUSTOMREQUEST, request->method);
  SET(CURLOPT_HTTPHEADER, headers);
  return ok && set_access(client);
}
#undef SET

/* http://user:password@host: libcurl would take it, and errors tell of the URL. */
static bool names_a_user(const char *url) {
  const char *host = strstr(url, "://");
  if (host == NULL) return strchr(url, '@') != NULL;
  host += 3;
  return memchr(host, '@', strcspn(host, "/?#")) != NULL;
}

/* The server's alert about our certificate, which in TLS 1.3 comes when the request is on its way:
 * it was not looked at. */
static bool refuses_certificate(const char *detail) {
  static const char *const alerts[] = {
      "alert certificate required", "alert bad certificate",        "alert certificate expired",
      "alert unknown ca",           "alert certificate unknown",    "alert certificate revoked",
      "alert access denied",        "alert unsupported certificate"};
  for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
    if (strstr(detail, alerts[i]) != NULL) return true;
  return false;
}

/* The failures of TLS; STATUS_OK: it is none. */
static enum status tls_failed(const struct transfer *transfer, CURLcode result,
                              struct error *error) {
  const char *url = transfer->request->url, *detail = transfer->client->detail;
  if (*detail == '\0') detail = curl.easy_strerror(result);
  if (refuses_certificate(detail))
    return error_set(error, STATUS_DENIED, "the server at %.200s %s: %s", url,
                     transfer->client->access[CERT_PATH] == NULL
                         ? "wants a client certificate, and none was given"
                         : "does not take the client certificate that was given",
                     detail);
  switch (result) {
  case CURLE_PEER_FAILED_VERIFICATION:
    return error_set(
        error, STATUS_DENIED, "the certificate of %.200s is not to be trusted: %s%s", url, detail,
        strstr(detail, "self-signed") != NULL || strstr(detail, "unable to get") != NULL
            ? ". If a CA of your own has signed it, name that CA's file (--ca-cert)"
            : "");
  case CURLE_SSL_CACERT_BADFILE:
    return error_set(error, STATUS_INVALID, "the CA file holds no certificates: %s", detail);
  case CURLE_SSL_CERTPROBLEM:
    return error_set(error, STATUS_INVALID, "the client certificate or its key cannot be used: %s",
                     detail);
  case CURLE_SSL_CONNECT_ERROR:
    if (strstr(detail, "wrong version number") != NULL)
      return error_set(error, STATUS_UNAVAILABLE,
                       "what answers at %.200s does not speak TLS: the address may begin with "
                       "http://",
                       url);
    return error_set(error, STATUS_UNAVAILABLE, "no TLS handshake with %.200s: %s", url, detail);
  default: return STATUS_OK;
  }
}

/* What a failure of libcurl's means here. */
static enum status failed(const struct transfer *transfer, CURLcode result, struct error *error) {
  const char *url = transfer->request->url;
  const char *reason = curl.easy_strerror(result);
  enum status status = tls_failed(transfer, result, error);
  if (status != STATUS_OK) return status;
  switch (result) {
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return error_set(error, STATUS_INVALID,
                     "'%.200s' is not a URL of the form http://HOST:PORT or https://HOST:PORT",
                     url);
  case CURLE_COULDNT_CONNECT:
  case CURLE_COULDNT_RESOLVE_HOST:
    return error_set(error, STATUS_UNAVAILABLE,
                     "nobody answers at %.200s: is the server running? Start it with `arrowport "
                     "serve`",
                     url);
  case CURLE_OPERATION_TIMEDOUT:
    return error_set(error, STATUS_TIMEOUT, "no answer from %.200s within the time allowed", url);
  case CURLE_OUT_OF_MEMORY: return error_set(error, STATUS_NOMEM, "no memory for the request");
  default: break;
  }
  if (answer_code(transfer->client) >= 200)
    return error_set(error, STATUS_UNAVAILABLE,
                     "the answer of %.200s broke off, so what was received is not whole: %s", url,
                     reason);
  if (has_body(transfer->request) && transfer->sent_all)
    return error_set(error, STATUS_UNKNOWN,
                     "the connection to %.200s broke before the answer came, so whether the "
                     "request was carried out is not known: look before sending it again (%s)",
                     url, reason);
  return error_set(error, STATUS_UNAVAILABLE, "the connection to %.200s broke: %s", url, reason);
}

enum status http_client_send(struct http_client *client, const struct http_client_request *request,
                             int *code, struct error *error) {
  struct error scratch;
  struct transfer transfer = {.request = request,
                              .client = client,
                              .status = STATUS_OK,
                              .error = error == NULL ? &scratch : error};
  struct curl_slist *headers = NULL;
  enum status status = STATUS_OK;
  if (names_a_user(request->url))
    return error_set(error, STATUS_INVALID,
                     "the URL holds an '@': a user and a password are not given in the URL, which "
                     "gets into messages, but by themselves (--user)");
  for (size_t i = 0; i < request->header_count && status == STATUS_OK; i++)
    status = add_header(&headers, &request->headers[i], error);
  if (status == STATUS_OK && !set_options(client, request, headers, &transfer))
    status = error_set(error, STATUS_INVALID, "libcurl does not take the request to '%.200s'",
                       request->url);
  if (status == STATUS_OK) {
    CURLcode result = curl.easy_perform(client->handle);
    *code = answer_code(client);
    if (transfer.status != STATUS_OK)
      status = transfer.status;
    else if (result != CURLE_OK)
      status = failed(&transfer, result, error);
  }
  curl.slist_free_all(headers);
  return status;
}

const char *http_client_header(struct http_client *client, const char *name) {
  struct curl_header *header = NULL;
  if (curl.easy_header(client->handle, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
    return NULL;
  return header->value;
}
