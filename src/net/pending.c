#include "net/http2.h"
#include "net/tls.h"
#define WEAK __attribute__((weak))
WEAK enum status http2_new(const struct http_server_options *options,
                           const struct http2_owner *owner, const struct http_service *service,
                           const struct http_peer *peer, struct budget *budget,
                           struct http_server_stats *stats, struct http2 **http2,
                           struct error *error) {
  (void)options, (void)owner, (void)service, (void)peer, (void)budget, (void)stats;
  *http2 = NULL;
  return error_set(error, STATUS_UNSUPPORTED, "not yet");
}
WEAK void http2_free(struct http2 *http2) { (void)http2; }
WEAK enum status http2_feed(struct http2 *http2, const uint8_t *data, size_t bytes,
                            struct error *error) {
  (void)http2, (void)data, (void)bytes, (void)error;
  return STATUS_OK;
}
WEAK enum status http2_run(struct http2 *http2, struct error *error) {
  (void)http2, (void)error;
  return STATUS_OK;
}
WEAK void http2_drain(struct http2 *http2) { (void)http2; }
WEAK void http2_gone(struct http2 *http2, const struct error *why) { (void)http2, (void)why; }
WEAK int64_t http2_deadline_ms(const struct http2 *http2) {
  (void)http2;
  return -1;
}
WEAK enum status http2_tick(struct http2 *http2, struct error *error) {
  (void)http2, (void)error;
  return STATUS_OK;
}
WEAK bool http2_over(const struct http2 *http2) {
  (void)http2;
  return true;
}
WEAK bool http2_wants_input(const struct http2 *http2) {
  (void)http2;
  return true;
}
WEAK enum status tls_session_new(struct tls_context *context, struct tls_session **session,
                                 struct error *error) {
  (void)context;
  *session = NULL;
  return error_set(error, STATUS_UNSUPPORTED, "not yet");
}
WEAK void tls_session_free(struct tls_session *session) { (void)session; }
WEAK enum status tls_session_feed(struct tls_session *session, const uint8_t *data, size_t bytes,
                                  struct error *error) {
  (void)session, (void)data, (void)bytes, (void)error;
  return STATUS_OK;
}
WEAK enum status tls_session_read(struct tls_session *session, uint8_t *room, size_t room_bytes,
                                  size_t *bytes, bool *ended, struct error *error) {
  (void)session, (void)room, (void)room_bytes, (void)bytes, (void)ended, (void)error;
  return STATUS_OK;
}
WEAK bool tls_session_holds(const struct tls_session *session) {
  (void)session;
  return false;
}
WEAK enum status tls_session_write(struct tls_session *session, const void *data, size_t bytes,
                                   struct error *error) {
  (void)session, (void)data, (void)bytes, (void)error;
  return STATUS_OK;
}
WEAK void tls_session_take(struct tls_session *session, struct buffer *out) {
  (void)session, (void)out;
}
WEAK void tls_session_shutdown(struct tls_session *session) { (void)session; }
WEAK bool tls_session_established(const struct tls_session *session) {
  (void)session;
  return true;
}
WEAK const char *tls_session_alpn(const struct tls_session *session) {
  (void)session;
  return "";
}
WEAK const char *tls_session_client_name(const struct tls_session *session) {
  (void)session;
  return NULL;
}
WEAK struct tls_context *tls_context_share(struct tls_context *context) { return context; }
WEAK void tls_context_free(struct tls_context *context) { (void)context; }
WEAK enum status tls_context_new(const struct tls_options *options, struct tls_context **context,
                                 struct error *error) {
  (void)options;
  *context = NULL;
  return error_set(error, STATUS_UNSUPPORTED, "not yet");
}
