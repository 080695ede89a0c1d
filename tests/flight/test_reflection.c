/* Reflection: what is asked for is found, with all that it imports; what is not there is said so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flight/reflection.h"
#include "grpc/reflection_v1.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

#define ASKS(what)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what
#define ANSWERS(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##what

static struct budget budget = {.limit_bytes = INT64_MAX};

static Response *ask(Request *request) {
  uint8_t bytes[1024];
  struct buffer answer = BUFFER_EMPTY;
  request->host = (char *)"here";
  size_t size = grpc__reflection__v1__server_reflection_request__pack(request, bytes);
  assert_int_equal(flight_reflect(bytes, (int64_t)size, &budget, &answer, NULL), STATUS_OK);
  Response *response = grpc__reflection__v1__server_reflection_response__unpack(
      NULL, (size_t)answer.size_bytes, answer.data);
  assert_non_null(response);
  assert_string_equal(response->valid_host, "here");
  assert_int_equal(response->original_request->message_request_case, request->message_request_case);
  buffer_release(&answer);
  assert_int_equal(budget.used_bytes, 0);
  return response;
}

static void let_go(Response *response) {
  grpc__reflection__v1__server_reflection_response__free_unpacked(response, NULL);
}

/* A file's name is the first thing in its descriptor. */
static void expect_file(const ProtobufCBinaryData *file, const char *name) {
  assert_true(file->len > 2 + strlen(name));
  assert_int_equal(file->data[0], 1 << 3 | 2);
  assert_int_equal(file->data[1], strlen(name));
  assert_memory_equal(file->data + 2, name, strlen(name));
}

static void expect_not_found(Response *response, const char *name) {
  assert_int_equal(response->message_response_case, ANSWERS(ERROR_RESPONSE));
  assert_int_equal(response->error_response->error_code, 5);
  assert_non_null(strstr(response->error_response->error_message, name));
  let_go(response);
}

static void services_are_listed(void **state) {
  (void)state;
  static const char *const want[] = {"arrow.flight.protocol.FlightService", "grpc.health.v1.Health",
                                     "grpc.reflection.v1.ServerReflection",
                                     "grpc.reflection.v1alpha.ServerReflection"};
  Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
  request.message_request_case = ASKS(LIST_SERVICES);
  request.list_services = (char *)"";
  Response *response = ask(&request);
  assert_int_equal(response->message_response_case, ANSWERS(LIST_SERVICES_RESPONSE));
  assert_int_equal(response->list_services_response->n_service, 4);
  for (size_t i = 0; i < 4; i++) {
    bool found = false;
    for (size_t j = 0; j < 4; j++)
      found = found || strcmp(response->list_services_response->service[j]->name, want[i]) == 0;
    assert_true(found);
    assert_true(flight_service_known(want[i]));
  }
  let_go(response);
  assert_false(flight_service_known("arrow.flight.protocol.FlightService.DoGet"));
  assert_false(flight_service_known("arrow.flight.protocol.Ticket"));
  assert_false(flight_service_known("FlightService"));
  assert_false(flight_service_known(""));
}

static void symbols_are_found_with_what_they_import(void **state) {
  (void)state;
  static const struct {
    const char *symbol;
    const char *file; /* NULL: it is not found */
    size_t files;
  } cases[] = {
      {"arrow.flight.protocol.FlightService", "Flight.proto", 2},
      {"arrow.flight.protocol.FlightService.DoGet", "Flight.proto", 2},
      {"arrow.flight.protocol.FlightDescriptor", "Flight.proto", 2},
      {"arrow.flight.protocol.FlightDescriptor.path", "Flight.proto", 2},
      {"arrow.flight.protocol.FlightDescriptor.DescriptorType", "Flight.proto", 2},
      {"arrow.flight.protocol.FlightDescriptor.CMD", "Flight.proto", 2},
      {"arrow.flight.protocol.FlightDescriptor.DescriptorType.CMD", "Flight.proto", 2},
      {"arrow.flight.protocol.sql.CommandStatementQuery", "FlightSql.proto", 1},
      {"google.protobuf.Any", "google/protobuf/any.proto", 1},
      {"grpc.health.v1.Health.Watch", "grpc/health.proto", 1},
      {"grpc.reflection.v1.ServerReflectionRequest.message_request", "grpc/reflection_v1.proto", 1},
      {"grpc.reflection.v1alpha.ServerReflection", "grpc/reflection_v1alpha.proto", 1},
      {"arrow.flight.protocol.FlightService.DoNothing", NULL, 0},
      {"arrow.flight.protocol.FlightServices", NULL, 0},
      {"arrow.flight.protocol.FlightDescriptor.path.x", NULL, 0},
      {"arrow.flight.protocol.", NULL, 0},
      {"arrow.flight.protocol", NULL, 0},
      {".arrow.flight.protocol.Ticket", NULL, 0},
      {"Ticket", NULL, 0},
      {"", NULL, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = ASKS(FILE_CONTAINING_SYMBOL);
    request.file_containing_symbol = (char *)(uintptr_t)cases[i].symbol;
    Response *response = ask(&request);
    if (cases[i].file == NULL) {
      expect_not_found(response, cases[i].symbol);
      continue;
    }
    if (response->message_response_case != ANSWERS(FILE_DESCRIPTOR_RESPONSE))
      fail_msg("%s is not found", cases[i].symbol);
    assert_int_equal(response->file_descriptor_response->n_file_descriptor_proto, cases[i].files);
    expect_file(&response->file_descriptor_response->file_descriptor_proto[0], cases[i].file);
    let_go(response);
  }
}

static void files_are_found_by_name(void **state) {
  (void)state;
  Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
  request.message_request_case = ASKS(FILE_BY_FILENAME);
  request.file_by_filename = (char *)"Flight.proto";
  Response *response = ask(&request);
  assert_int_equal(response->message_response_case, ANSWERS(FILE_DESCRIPTOR_RESPONSE));
  assert_int_equal(response->file_descriptor_response->n_file_descriptor_proto, 2);
  expect_file(&response->file_descriptor_response->file_descriptor_proto[0], "Flight.proto");
  expect_file(&response->file_descriptor_response->file_descriptor_proto[1],
              "google/protobuf/timestamp.proto");
  let_go(response);
  request.file_by_filename = (char *)"Flight.prot";
  expect_not_found(ask(&request), "Flight.prot");
}

static void extensions_are_none(void **state) {
  (void)state;
  Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
  Grpc__Reflection__V1__ExtensionRequest extension = GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
  request.message_request_case = ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE);
  request.all_extension_numbers_of_type = (char *)"arrow.flight.protocol.Ticket";
  Response *response = ask(&request);
  assert_int_equal(response->message_response_case, ANSWERS(ALL_EXTENSION_NUMBERS_RESPONSE));
  assert_string_equal(response->all_extension_numbers_response->base_type_name,
                      "arrow.flight.protocol.Ticket");
  assert_int_equal(response->all_extension_numbers_response->n_extension_number, 0);
  let_go(response);
  request.all_extension_numbers_of_type = (char *)"arrow.flight.protocol.Tickets";
  expect_not_found(ask(&request), "no message of this name");

  request.message_request_case = ASKS(FILE_CONTAINING_EXTENSION);
  request.file_containing_extension = &extension;
  extension.containing_type = (char *)"arrow.flight.protocol.Ticket";
  extension.extension_number = 1000;
  expect_not_found(ask(&request), "no extension of this number");
  extension.containing_type = (char *)"Nobody";
  expect_not_found(ask(&request), "no message of this name");
}

static void what_asks_nothing_is_told_so_and_garbage_is_refused(void **state) {
  (void)state;
  Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
  Response *response = ask(&request);
  assert_int_equal(response->message_response_case, ANSWERS(ERROR_RESPONSE));
  assert_int_equal(response->error_response->error_code, 12);
  let_go(response);
  struct buffer answer = BUFFER_EMPTY;
  assert_int_equal(flight_reflect("\x0A\x7F", 2, &budget, &answer, NULL), STATUS_INVALID);
  assert_int_equal(flight_reflect(NULL, 0, &budget, &answer, NULL), STATUS_OK);
  buffer_release(&answer);
  struct budget none = {.limit_bytes = 10};
  assert_int_equal(flight_reflect("", 0, &none, &answer, NULL), STATUS_BUDGET);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(services_are_listed),
      cmocka_unit_test(symbols_are_found_with_what_they_import),
      cmocka_unit_test(files_are_found_by_name),
      cmocka_unit_test(extensions_are_none),
      cmocka_unit_test(what_asks_nothing_is_told_so_and_garbage_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
