/* Calls with one request: asked, asked again where that is safe, and their answers. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "flight/client_private.h"

enum { RETRY_FIRST_MS = 100, RETRY_MAX_MS = 5000, POLL_MAX_MS = 1000 };

/* ---- messages --------------------------------------------------------------------------------------- */

enum status flight_client_pack(const ProtobufCMessage *message, struct buffer *packed,
                               struct error *error) {
  static struct budget unlimited = {.limit_bytes = INT64_MAX};
  size_t bytes = protobuf_c_message_get_packed_size(message);
  *packed = BUFFER_EMPTY;
  enum status status = buffer_reserve(packed, &unlimited, bytes == 0 ? 1 : (int64_t)bytes, error);
  if (status == STATUS_OK)
    packed->size_bytes = (int64_t)protobuf_c_message_pack(message, packed->data);
  return status;
}

enum status flight_client_unpack(const ProtobufCMessageDescriptor *type, const void *data,
                                 size_t bytes, ProtobufCMessage **message, struct error *error) {
  *message = protobuf_c_message_unpack(type, NULL, bytes, data);
  if (*message != NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the server's answer is no %s", type->short_name);
}

/* ---- again -------------------------------------------------------------------------------------------- */

struct flight_client_retry flight_client_retry_of(struct flight_client *client,
                                                  const struct flight_call_options *options) {
  return (struct flight_client_retry){.client = client,
                                      .cancel = options == NULL ? NULL : options->cancel,
                                      .until_ms = flight_client_until_ms(client, options),
                                      .wait_ms = RETRY_FIRST_MS,
                                      .left = client->retries};
}

/* Between half of it and the whole. */
static int64_t jitter(int64_t wait_ms) {
  uint32_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
    random = (uint32_t)clock_now_us();
  return wait_ms / 2 + (int64_t)(random % (uint32_t)(wait_ms / 2 + 1));
}

bool flight_client_retry_again(struct flight_client_retry *retry, enum status status) {
  if (status != STATUS_UNAVAILABLE || retry->left <= 0) return false;
  int64_t wait_ms = jitter(retry->wait_ms);
  if (retry->until_ms != 0 && clock_now_ms() + wait_ms >= retry->until_ms) return false;
  retry->left--;
  retry->wait_ms = retry->wait_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry->wait_ms * 2;
  return flight_cancel_wait(retry->cancel, wait_ms);
}

/* ---- one request --------------------------------------------------------------------------------------- */

struct asking {
  const struct flight_client_request *request;
  const struct flight_call_options *options;
  int64_t until_ms;
  enum status (*each)(void *context, const struct buffer *message, struct error *error);
  void *context;
  bool was_sent;     /* the server may have seen it */
  bool has_answered; /* a message came */
};

static enum status ask_once(struct flight_client *client, struct asking *asking,
                            struct error *error) {
  struct flight_client_call call;
  struct buffer message = BUFFER_EMPTY;
  bool got = true;
  asking->was_sent = false;
  enum status status =
      flight_client_call_start(client, client->site, asking->request->method, asking->options,
                               asking->until_ms, NULL, &call, error);
  if (status != STATUS_OK) return status;
  asking->was_sent = true;
  status = grpc_client_send(call.call, asking->request->message, asking->request->bytes, error);
  if (status == STATUS_OK) status = grpc_client_close_sending(call.call, error);
  if (status == STATUS_CANCELLED) status = STATUS_OK; /* it has ended: next says how */
  while (status == STATUS_OK && got) {
    status = grpc_client_next(call.call, &message, &got, error);
    if (status != STATUS_OK || !got) break;
    asking->has_answered = true;
    status = asking->each(asking->context, &message, error);
    buffer_release(&message);
  }
  if (status != STATUS_OK && grpc_client_unprocessed(call.call)) asking->was_sent = false;
  flight_client_call_end(&call);
  return status;
}

enum status flight_client_ask_each(struct flight_client *client,
                                   const struct flight_client_request *request,
                                   const struct flight_call_options *options,
                                   enum status (*each)(void *context, const struct buffer *message,
                                                       struct error *error),
                                   void *context, struct error *error) {
  struct flight_client_retry retry = flight_client_retry_of(client, options);
  struct asking asking = {.request = request,
                          .options = options,
                          .until_ms = retry.until_ms,
                          .each = each,
                          .context = context};
  bool may_shake = client->user != NULL;
  for (;;) {
    enum status status = ask_once(client, &asking, error);
    if (status == STATUS_UNAUTHENTICATED && may_shake && asking.was_sent && !asking.has_answered) {
      may_shake = false; /* what the Handshake gave us may have ended */
      status = flight_client_shake(client, options, true, error);
      if (status == STATUS_OK) continue;
    }
    if (status == STATUS_OK || asking.has_answered || (asking.was_sent && !request->safe))
      return status;
    if (!flight_client_retry_again(&retry, status)) return status;
  }
}

static enum status keep_first(void *context, const struct buffer *message, struct error *error) {
  struct buffer *kept = context;
  if (kept->block != NULL)
    return error_set(error, STATUS_INVALID, "the server answers more than one message");
  *kept = buffer_share(message);
  return STATUS_OK;
}

enum status flight_client_ask_one(struct flight_client *client, const char *method,
                                  const ProtobufCMessage *message, bool safe,
                                  const struct flight_call_options *options,
                                  const ProtobufCMessageDescriptor *type, ProtobufCMessage **answer,
                                  struct error *error) {
  struct buffer packed = BUFFER_EMPTY;
  struct buffer kept = BUFFER_EMPTY;
  *answer = NULL;
  enum status status = flight_client_pack(message, &packed, error);
  struct flight_client_request request = {method, packed.data, (size_t)packed.size_bytes, safe};
  if (status == STATUS_OK)
    status = flight_client_ask_each(client, &request, options, keep_first, &kept, error);
  if (status == STATUS_OK)
    status = flight_client_unpack(type, kept.data, (size_t)kept.size_bytes, answer, error);
  buffer_release(&packed);
  buffer_release(&kept);
  return status;
}

/* ---- the methods ------------------------------------------------------------------------------------------ */

enum status flight_client_info(struct flight_client *client, const FlightDescriptor *descriptor,
                               const struct flight_call_options *options, FlightInfo **info,
                               struct error *error) {
  return flight_client_ask_one(client, FLIGHT_METHOD("GetFlightInfo"), &descriptor->base, false,
                               options, &FLIGHT(flight_info__descriptor), (ProtobufCMessage **)info,
                               error);
}

enum status flight_client_schema(struct flight_client *client, const FlightDescriptor *descriptor,
                                 const struct flight_call_options *options,
                                 struct ArrowSchema *schema, struct error *error) {
  ProtobufCMessage *answer = NULL;
  enum status status =
      flight_client_ask_one(client, FLIGHT_METHOD("GetSchema"), &descriptor->base, true, options,
                            &FLIGHT(schema_result__descriptor), &answer, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__SchemaResult *result = (void *)answer;
  status = flight_schema_read(result->schema.data, result->schema.len, schema, error);
  protobuf_c_message_free_unpacked(answer, NULL);
  return status;
}

struct listing {
  const ProtobufCMessageDescriptor *type;
  enum status (*info)(void *context, const FlightInfo *info, struct error *error);
  enum status (*action)(void *context, const FlightActionType *type, struct error *error);
  enum status (*result)(void *context, const void *body, size_t bytes, struct error *error);
  void *context;
};

static enum status take_listed(void *context, const struct buffer *message, struct error *error) {
  struct listing *listing = context;
  ProtobufCMessage *unpacked = NULL;
  enum status status = flight_client_unpack(listing->type, message->data,
                                            (size_t)message->size_bytes, &unpacked, error);
  if (status != STATUS_OK) return status;
  if (listing->info != NULL) {
    status = listing->info(listing->context, (const FlightInfo *)(void *)unpacked, error);
  } else if (listing->action != NULL) {
    status = listing->action(listing->context, (const FlightActionType *)(void *)unpacked, error);
  } else if (listing->result != NULL) {
    const Arrow__Flight__Protocol__Result *result = (void *)unpacked;
    status = listing->result(listing->context, result->body.data, result->body.len, error);
  }
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return status;
}

static enum status list(struct flight_client *client, const char *method,
                        const ProtobufCMessage *message, bool safe,
                        const struct flight_call_options *options, struct listing *listing,
                        struct error *error) {
  struct buffer packed = BUFFER_EMPTY;
  enum status status = flight_client_pack(message, &packed, error);
  struct flight_client_request request = {method, packed.data, (size_t)packed.size_bytes, safe};
  if (status == STATUS_OK)
    status = flight_client_ask_each(client, &request, options, take_listed, listing, error);
  buffer_release(&packed);
  return status;
}

/* Protobuf's structs hold bytes that could be written to; nobody does. */
static ProtobufCBinaryData binary(const void *data, size_t bytes) {
  ProtobufCBinaryData binary = {.len = bytes};
  memcpy(&binary.data, &data, sizeof binary.data);
  return binary;
}

enum status flight_client_list(struct flight_client *client, const void *expression, size_t bytes,
                               const struct flight_call_options *options,
                               enum status (*each)(void *context, const FlightInfo *info,
                                                   struct error *error),
                               void *context, struct error *error) {
  Arrow__Flight__Protocol__Criteria criteria = ARROW__FLIGHT__PROTOCOL__CRITERIA__INIT;
  struct listing listing = {
      .type = &FLIGHT(flight_info__descriptor), .info = each, .context = context};
  criteria.expression = binary(expression, bytes);
  return list(client, FLIGHT_METHOD("ListFlights"), &criteria.base, true, options, &listing, error);
}

enum status flight_client_action(struct flight_client *client, const char *type, const void *body,
                                 size_t bytes, const struct flight_call_options *options,
                                 enum status (*each)(void *context, const void *body, size_t bytes,
                                                     struct error *error),
                                 void *context, struct error *error) {
  FlightAction action = ARROW__FLIGHT__PROTOCOL__ACTION__INIT;
  struct listing listing = {
      .type = &FLIGHT(result__descriptor), .result = each, .context = context};
  memcpy(&action.type, &type, sizeof action.type);
  action.body = binary(body, bytes);
  return list(client, FLIGHT_METHOD("DoAction"), &action.base, false, options, &listing, error);
}

enum status flight_client_actions(struct flight_client *client,
                                  const struct flight_call_options *options,
                                  enum status (*each)(void *context, const FlightActionType *type,
                                                      struct error *error),
                                  void *context, struct error *error) {
  Arrow__Flight__Protocol__Empty empty = ARROW__FLIGHT__PROTOCOL__EMPTY__INIT;
  struct listing listing = {
      .type = &FLIGHT(action_type__descriptor), .action = each, .context = context};
  return list(client, FLIGHT_METHOD("ListActions"), &empty.base, true, options, &listing, error);
}

/* ---- actions with a message ---------------------------------------------------------------------------------- */

static enum status keep_body(void *context, const void *body, size_t bytes, struct error *error) {
  struct buffer *kept = context;
  static struct budget unlimited = {.limit_bytes = INT64_MAX};
  if (kept->block != NULL)
    return error_set(error, STATUS_INVALID, "the server answers more than one result");
  enum status status = buffer_reserve(kept, &unlimited, (int64_t)bytes + 1, error);
  if (status == STATUS_OK && bytes > 0) memcpy(kept->data, body, bytes);
  if (status == STATUS_OK) kept->size_bytes = (int64_t)bytes;
  return status;
}

/* Out of its Any. */
static enum status unpack_any(const ProtobufCMessageDescriptor *type, const struct buffer *body,
                              ProtobufCMessage **answer, struct error *error) {
  ProtobufCMessage *unpacked = NULL;
  enum status status = flight_client_unpack(&google__protobuf__any__descriptor, body->data,
                                            (size_t)body->size_bytes, &unpacked, error);
  if (status != STATUS_OK) return status;
  const Google__Protobuf__Any *any = (void *)unpacked;
  const char *slash = strrchr(any->type_url, '/');
  if (slash == NULL || strcmp(slash + 1, type->name) != 0)
    status = error_set(error, STATUS_INVALID, "the server answers a '%.100s', not a %s",
                       any->type_url, type->short_name);
  else
    status = flight_client_unpack(type, any->value.data, any->value.len, answer, error);
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return status;
}

enum status flight_client_action_one(struct flight_client *client, const char *type,
                                     const ProtobufCMessage *body, bool any,
                                     const struct flight_call_options *options,
                                     const ProtobufCMessageDescriptor *answer_type,
                                     ProtobufCMessage **answer, struct error *error) {
  struct buffer packed = BUFFER_EMPTY;
  struct buffer kept = BUFFER_EMPTY;
  if (answer != NULL) *answer = NULL;
  enum status status =
      any ? flight_client_sql_pack(body, &packed, error) : flight_client_pack(body, &packed, error);
  if (status == STATUS_OK)
    status = flight_client_action(client, type, packed.data, (size_t)packed.size_bytes, options,
                                  answer == NULL ? NULL : keep_body, &kept, error);
  if (status == STATUS_OK && answer != NULL && kept.block != NULL)
    status =
        any ? unpack_any(answer_type, &kept, answer, error)
            : flight_client_unpack(answer_type, kept.data, (size_t)kept.size_bytes, answer, error);
  buffer_release(&packed);
  buffer_release(&kept);
  if (status != STATUS_OK) error_at(error, "%s", type);
  return status;
}

enum status flight_client_cancel(struct flight_client *client, const FlightInfo *info,
                                 const struct flight_call_options *options,
                                 FlightCancelStatus *cancelled, struct error *error) {
  Arrow__Flight__Protocol__CancelFlightInfoRequest request =
      ARROW__FLIGHT__PROTOCOL__CANCEL_FLIGHT_INFO_REQUEST__INIT;
  ProtobufCMessage *answer = NULL;
  *cancelled = ARROW__FLIGHT__PROTOCOL__CANCEL_STATUS__CANCEL_STATUS_UNSPECIFIED;
  memcpy(&request.info, &info, sizeof request.info);
  enum status status =
      flight_client_action_one(client, "CancelFlightInfo", &request.base, false, options,
                               &FLIGHT(cancel_flight_info_result__descriptor), &answer, error);
  if (status == STATUS_OK && answer != NULL)
    *cancelled = ((Arrow__Flight__Protocol__CancelFlightInfoResult *)(void *)answer)->status;
  if (answer != NULL) protobuf_c_message_free_unpacked(answer, NULL);
  return status;
}

enum status flight_client_renew(struct flight_client *client, const FlightEndpoint *endpoint,
                                const struct flight_call_options *options, FlightEndpoint **renewed,
                                struct error *error) {
  Arrow__Flight__Protocol__RenewFlightEndpointRequest request =
      ARROW__FLIGHT__PROTOCOL__RENEW_FLIGHT_ENDPOINT_REQUEST__INIT;
  ProtobufCMessage *answer = NULL;
  *renewed = NULL;
  memcpy(&request.endpoint, &endpoint, sizeof request.endpoint);
  enum status status =
      flight_client_action_one(client, "RenewFlightEndpoint", &request.base, false, options,
                               &FLIGHT(flight_endpoint__descriptor), &answer, error);
  if (status == STATUS_OK && answer == NULL)
    status = error_set(error, STATUS_INVALID, "RenewFlightEndpoint: the server answers nothing");
  *renewed = (FlightEndpoint *)(void *)answer;
  return status;
}

/* ---- polling ---------------------------------------------------------------------------------------------------- */

/* Moves `*part` out of the message that holds it. */
static void *take_part(void *part_pointer) {
  void *part;
  void *nothing = NULL;
  memcpy(&part, part_pointer, sizeof part);
  memcpy(part_pointer, &nothing, sizeof nothing);
  return part;
}

enum status flight_client_poll(struct flight_client *client, const FlightDescriptor *descriptor,
                               const struct flight_call_options *options,
                               bool (*progress)(void *context, double fraction), void *context,
                               FlightInfo **info, struct error *error) {
  FlightDescriptor *next = NULL; /* what is asked about; NULL: the first one */
  int64_t wait_ms = 10;
  enum status status = STATUS_OK;
  *info = NULL;
  for (;;) {
    ProtobufCMessage *answer = NULL;
    status = flight_client_ask_one(client, FLIGHT_METHOD("PollFlightInfo"),
                                   next == NULL ? &descriptor->base : &next->base, next != NULL,
                                   options, &FLIGHT(poll_info__descriptor), &answer, error);
    if (status != STATUS_OK) break;
    FlightPollInfo *poll = (FlightPollInfo *)(void *)answer;
    if (*info != NULL) FLIGHT(flight_info__free_unpacked)(*info, NULL);
    if (next != NULL) FLIGHT(flight_descriptor__free_unpacked)(next, NULL);
    *info = take_part(&poll->info);
    next = take_part(&poll->flight_descriptor);
    double fraction = poll->optional_progress_case ==
                              ARROW__FLIGHT__PROTOCOL__POLL_INFO__OPTIONAL_PROGRESS_PROGRESS
                          ? poll->progress
                          : -1;
    protobuf_c_message_free_unpacked(answer, NULL);
    if (*info == NULL)
      status = error_set(error, STATUS_INVALID, "PollFlightInfo: the answer has no FlightInfo");
    if (status != STATUS_OK || next == NULL) break;
    FlightCancelStatus cancelled;
    bool goes_on = progress == NULL || progress(context, fraction);
    if (!goes_on || !flight_cancel_wait(options == NULL ? NULL : options->cancel, wait_ms)) {
      if (flight_client_cancel(client, *info, NULL, &cancelled, error) != STATUS_OK)
        cancelled = ARROW__FLIGHT__PROTOCOL__CANCEL_STATUS__CANCEL_STATUS_UNSPECIFIED;
      status = error_set(error, STATUS_CANCELLED, "the query was given up");
      break;
    }
    wait_ms = wait_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : wait_ms * 2;
  }
  if (next != NULL) FLIGHT(flight_descriptor__free_unpacked)(next, NULL);
  if (status != STATUS_OK && *info != NULL) {
    FLIGHT(flight_info__free_unpacked)(*info, NULL);
    *info = NULL;
  }
  return status;
}
