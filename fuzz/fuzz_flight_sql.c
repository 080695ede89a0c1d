/* What a Flight client says besides rows: descriptors, commands, tickets, actions, schemas, as far as
 * they are read without asking anything. The first byte says which:
 *
 *   0 a FlightDescriptor, of which a DoPut or DoExchange takes path, JSON or Any
 *   1 a descriptor's command or a ticket's: an Any of Flight SQL, and the message in it
 *   2 an action's body: an Any, for each message that an action may want
 *   3 a ticket that nobody has sealed; and one that was, with a byte changed
 *   4 the schema of a FlightInfo
 *
 * What is taken must come out again as it was; what is refused must say why. */
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "flight/data.h"
#include "ipc_feed.h"
#include "server/flight.h"
#include "server/flight_rows.h"

static const ProtobufCMessageDescriptor *const commands[] = {
    &FLIGHT_SQL(command_statement_query__descriptor),
    &FLIGHT_SQL(command_statement_update__descriptor),
    &FLIGHT_SQL(command_statement_substrait_plan__descriptor),
    &FLIGHT_SQL(command_statement_ingest__descriptor),
    &FLIGHT_SQL(command_prepared_statement_query__descriptor),
    &FLIGHT_SQL(command_prepared_statement_update__descriptor),
    &FLIGHT_SQL(command_get_db_schemas__descriptor),
    &FLIGHT_SQL(command_get_tables__descriptor),
    &FLIGHT_SQL(command_get_sql_info__descriptor),
    &FLIGHT_SQL(command_get_cross_reference__descriptor),
};
static const ProtobufCMessageDescriptor *const actions[] = {
    &FLIGHT_SQL(action_create_prepared_statement_request__descriptor),
    &FLIGHT_SQL(action_close_prepared_statement_request__descriptor),
    &FLIGHT_SQL(action_begin_transaction_request__descriptor),
    &FLIGHT_SQL(action_end_transaction_request__descriptor),
};

static void expect_refusal(enum status status, const struct error *error) {
  feed_expect(status != STATUS_OK && error->status == status, "a refusal has its status");
  feed_expect(error->text[0] != '\0', "a refusal says why");
}

/* The message, packed and unpacked again, has as many bytes. */
static void try_message(const ProtobufCMessageDescriptor *type, const ProtobufCBinaryData *value) {
  ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, value->len, value->data);
  if (message == NULL) return;
  size_t bytes = protobuf_c_message_get_packed_size(message);
  uint8_t *packed = malloc(bytes + 1);
  if (packed == NULL) abort();
  feed_expect(protobuf_c_message_pack(message, packed) == bytes, "it is as long as it says");
  ProtobufCMessage *again = protobuf_c_message_unpack(type, NULL, bytes, packed);
  feed_expect(again != NULL, "what was packed can be unpacked");
  feed_expect(protobuf_c_message_get_packed_size(again) == bytes, "nothing is lost");
  protobuf_c_message_free_unpacked(again, NULL);
  protobuf_c_message_free_unpacked(message, NULL);
  free(packed);
}

static void try_command(const void *data, size_t bytes) {
  const struct flight_command *command = NULL;
  Google__Protobuf__Any *any = NULL;
  struct error error = {.status = STATUS_OK};
  enum status status = flight_command_read(data, bytes, &command, &any, &error);
  if (status == STATUS_OK) {
    feed_expect(command == flight_command_find(any->type_url), "it is the one that is named");
    const char *name = strrchr(any->type_url, '/');
    for (size_t i = 0; name != NULL && i < sizeof commands / sizeof commands[0]; i++)
      if (strcmp(commands[i]->name, name + 1) == 0) try_message(commands[i], &any->value);
  } else {
    feed_expect(command == NULL, "a command that is refused is none");
    expect_refusal(status, &error);
  }
  if (any != NULL) google__protobuf__any__free_unpacked(any, NULL);
}

static void try_descriptor(const void *data, size_t bytes) {
  FlightDescriptor *descriptor = FLIGHT(flight_descriptor__unpack)(NULL, bytes, data);
  if (descriptor == NULL) return;
  struct flight_rows rows;
  struct error error = {.status = STATUS_OK};
  enum status status = flight_rows_read(&rows, descriptor, &error);
  if (status == STATUS_OK) {
    feed_expect(rows.stream != NULL || rows.sql != NULL, "it says what becomes of the rows");
    feed_expect(!rows.resume || rows.token != NULL, "what resumes has a token");
  } else {
    expect_refusal(status, &error);
  }
  flight_rows_release(&rows);
  if (!flight_rows_is_json(&descriptor->cmd))
    try_command(descriptor->cmd.data, descriptor->cmd.len);
  FLIGHT(flight_descriptor__free_unpacked)(descriptor, NULL);
}

static void try_action(uint8_t *data, size_t bytes) {
  const ProtobufCBinaryData body = {.data = data, .len = bytes};
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
    ProtobufCMessage *message = NULL;
    struct error error = {.status = STATUS_OK};
    enum status status = flight_action_unpack(&body, actions[i], &message, &error);
    if (status != STATUS_OK) expect_refusal(status, &error);
    feed_expect((message != NULL) == (status == STATUS_OK), "there is one when it is taken");
    if (message != NULL) protobuf_c_message_free_unpacked(message, NULL);
  }
}

static struct flight_key *key;

static bool opens(const void *sealed, size_t bytes, struct flight_ticket *ticket) {
  struct error error = {.status = STATUS_OK};
  enum status status = flight_ticket_open(key, sealed, bytes, ticket, &error);
  if (status != STATUS_OK) expect_refusal(status, &error);
  return status == STATUS_OK;
}

/* The bytes as a ticket; then as the command of one, of which a byte is changed. */
static void try_ticket(const uint8_t *data, size_t bytes) {
  struct flight_ticket opened = {.memory = BUFFER_EMPTY};
  struct buffer sealed = BUFFER_EMPTY;
  if (key == NULL && flight_key_new(&key, NULL) != STATUS_OK) abort();
  feed_expect(!opens(data, bytes, &opened), "what nobody has sealed does not open");
  buffer_release(&opened.memory);
  struct flight_ticket made = {.who = "anna", .command = data, .command_bytes = bytes};
  if (flight_id_make(made.id, NULL) != STATUS_OK) abort();
  if (flight_ticket_seal(key, &made, &sealed, NULL) != STATUS_OK) return;
  size_t sealed_bytes = (size_t)sealed.size_bytes;
  feed_expect(opens(sealed.data, sealed_bytes, &opened), "what was sealed opens");
  feed_expect(opened.command_bytes == bytes && memcmp(opened.command, data, bytes) == 0,
              "as it was");
  buffer_release(&opened.memory);
  sealed.data[bytes > 0 ? data[0] % sealed_bytes : 0] ^= 1;
  feed_expect(!opens(sealed.data, sealed_bytes, &opened), "what was changed does not open");
  buffer_release(&opened.memory);
  buffer_release(&sealed);
}

static void try_schema(const uint8_t *data, size_t bytes) {
  struct ArrowSchema schema = {.release = NULL};
  struct error error = {.status = STATUS_OK};
  enum status status = flight_schema_read(data, bytes, &schema, &error);
  if (status == STATUS_OK)
    arrow_schema_release(&schema);
  else
    expect_refusal(status, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes < 1) return 0;
  size_t rest = bytes - 1;
  uint8_t *copy = malloc(rest + 1); /* of just its size, so that a step too far is seen */
  if (copy == NULL) abort();
  memcpy(copy, data + 1, rest);
  switch (data[0]) {
  case 0: try_descriptor(copy, rest); break;
  case 1: try_command(copy, rest); break;
  case 2: try_action(copy, rest); break;
  case 3: try_ticket(copy, rest); break;
  case 4: try_schema(copy, rest); break;
  default: break;
  }
  free(copy);
  return 0;
}
