/* The descriptors are read where they lie, as protobuf that was made when the program was built
 * (descriptor.proto): a file's bytes are answered as they are. Nothing is prepared: what is asked is
 * looked for from the beginning, in some 20 KB.
 *
 * A name is looked for by walking down: "a.b.C.D" in a file of package "a.b" is what remains, "C.D", in the
 * message C. */
#include "flight/reflection.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flight/messages.h"
#include "flight/wire.h"
#include "grpc/reflection_v1.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;
typedef Grpc__Reflection__V1__FileDescriptorResponse FileResponse;
typedef Grpc__Reflection__V1__ExtensionNumberResponse ExtensionResponse;
typedef Grpc__Reflection__V1__ListServiceResponse ServicesResponse;
typedef Grpc__Reflection__V1__ServiceResponse Service;
typedef Grpc__Reflection__V1__ErrorResponse ErrorResponse;

enum {
  FILES_MAX = 32,      /* in flight/proto, with what they import */
  SERVICES_MAX = 16,   /* likewise */
  EXTENSIONS_MAX = 64, /* of one message */
};

/* Fields of descriptor.proto. */
enum { SET_FILE = 1 };
enum {
  FILE_NAME = 1,
  FILE_PACKAGE = 2,
  FILE_DEPENDENCY = 3,
  FILE_MESSAGE = 4,
  FILE_ENUM = 5,
  FILE_SERVICE = 6,
  FILE_EXTENSION = 7,
};
enum {
  MESSAGE_FIELD = 2,
  MESSAGE_MESSAGE = 3,
  MESSAGE_ENUM = 4,
  MESSAGE_EXTENSION = 6,
  MESSAGE_ONEOF = 8,
};
enum { ANY_NAME = 1, ENUM_VALUE = 2, SERVICE_METHOD = 2, FIELD_EXTENDEE = 2, FIELD_NUMBER = 3 };

/* ---- reading descriptors ---------------------------------------------------------------------- */

struct span {
  const uint8_t *at;
  const uint8_t *end;
};

/* A field of a message; `value` is the bytes of one that has bytes. */
struct field {
  int number;
  uint64_t integer;
  struct span value;
};

static bool read_varint(struct span *span, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && span->at < span->end; shift += 7) {
    uint8_t byte = *span->at++;
    *value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/* The next field, which is taken off the span. False: there is none. */
static bool next_field(struct span *span, struct field *field) {
  uint64_t tag;
  if (!read_varint(span, &tag)) return false;
  *field = (struct field){.number = (int)(tag >> 3)};
  uint64_t bytes = (tag & 7) == WIRE_FIXED64 ? 8 : (tag & 7) == WIRE_FIXED32 ? 4 : 0;
  if ((tag & 7) == WIRE_VARINT) return read_varint(span, &field->integer);
  if ((tag & 7) == WIRE_BYTES && !read_varint(span, &bytes)) return false;
  if (bytes > (uint64_t)(span->end - span->at)) return false;
  field->value = (struct span){span->at, span->at + bytes};
  span->at += bytes;
  return true;
}

/* The next field of this number. */
static bool next_of(struct span *span, int number, struct field *field) {
  while (next_field(span, field))
    if (field->number == number) return true;
  return false;
}

static struct span first_of(struct span span, int number) {
  struct field field;
  return next_of(&span, number, &field) ? field.value : (struct span){NULL, NULL};
}

static size_t span_bytes(struct span span) { return (size_t)(span.end - span.at); }

static bool is_name(struct span span, const char *name, size_t bytes) {
  return span_bytes(span) == bytes && (bytes == 0 || memcmp(span.at, name, bytes) == 0);
}

static struct span all_files(void) {
  return (struct span){flight_descriptors, flight_descriptors + flight_descriptors_bytes};
}

static bool next_file(struct span *files, struct span *file) {
  struct field field;
  if (!next_of(files, SET_FILE, &field)) return false;
  *file = field.value;
  return true;
}

/* What of `symbol` is behind the file's package; NULL: it is of another one. */
static const char *behind_package(struct span file, const char *symbol) {
  struct span package = first_of(file, FILE_PACKAGE);
  size_t bytes = span_bytes(package);
  assert(symbol != NULL);
  if (bytes == 0) return symbol;
  if (strncmp(symbol, (const char *)package.at, bytes) != 0 || symbol[bytes] != '.') return NULL;
  return symbol + bytes + 1;
}

/* ---- symbols ------------------------------------------------------------------------------------ */

/* The child of this kind that `name` begins with; `rest` is what follows the dot behind its name, or
 * "" . */
static bool find_child(struct span parent, int number, const char *name, struct span *child,
                       const char **rest) {
  size_t bytes = strcspn(name, ".");
  struct field field;
  while (next_of(&parent, number, &field)) {
    if (!is_name(first_of(field.value, ANY_NAME), name, bytes)) continue;
    *child = field.value;
    *rest = name[bytes] == '.' ? name + bytes + 1 : "";
    return true;
  }
  return false;
}

static bool has_leaf(struct span parent, int number, const char *name) {
  struct span child;
  const char *rest;
  return strchr(name, '.') == NULL && find_child(parent, number, name, &child, &rest);
}

/* Values are siblings of their enum; most tools name them below it. */
static bool has_enum(struct span parent, int number, const char *name) {
  struct span child;
  const char *rest;
  if (find_child(parent, number, name, &child, &rest))
    return *rest == '\0' || has_leaf(child, ENUM_VALUE, rest);
  struct field field;
  while (next_of(&parent, number, &field))
    if (has_leaf(field.value, ENUM_VALUE, name)) return true;
  return false;
}

/* Names get shorter on the way down, which is as long as messages are nested. */
static bool has_message(struct span parent, int number, const char *name) {
  struct span child;
  const char *rest;
  for (; find_child(parent, number, name, &child, &rest); parent = child, name = rest) {
    if (*rest == '\0') return true;
    if (has_leaf(child, MESSAGE_FIELD, rest) || has_leaf(child, MESSAGE_ONEOF, rest) ||
        has_leaf(child, MESSAGE_EXTENSION, rest) || has_enum(child, MESSAGE_ENUM, rest))
      return true;
    number = MESSAGE_MESSAGE;
  }
  return false;
}

static bool has_service(struct span file, const char *name) {
  struct span child;
  const char *rest;
  return find_child(file, FILE_SERVICE, name, &child, &rest) &&
         (*rest == '\0' || has_leaf(child, SERVICE_METHOD, rest));
}

static bool has_symbol(struct span file, const char *symbol) {
  const char *name = behind_package(file, symbol);
  if (name == NULL || *name == '\0') return false;
  return has_message(file, FILE_MESSAGE, name) || has_enum(file, FILE_ENUM, name) ||
         has_service(file, name) || has_leaf(file, FILE_EXTENSION, name);
}

static bool is_message(const char *name) {
  struct span files = all_files();
  struct span file;
  while (next_file(&files, &file)) {
    struct span parent = file;
    const char *rest = behind_package(file, name);
    for (int number = FILE_MESSAGE;
         rest != NULL && find_child(parent, number, rest, &parent, &rest); number = MESSAGE_MESSAGE)
      if (*rest == '\0') return true;
  }
  return false;
}

bool flight_service_known(const char *name) {
  struct span files = all_files();
  struct span file;
  while (next_file(&files, &file)) {
    const char *rest = behind_package(file, name);
    if (rest != NULL && has_leaf(file, FILE_SERVICE, rest)) return true;
  }
  return false;
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* What an answer points to. */
struct answering {
  Response response;
  FileResponse files;
  ProtobufCBinaryData file_list[FILES_MAX];
  ExtensionResponse extensions;
  int32_t numbers[EXTENSIONS_MAX];
  ServicesResponse services;
  Service service_list[SERVICES_MAX];
  Service *service_pointers[SERVICES_MAX];
  char names[SERVICES_MAX][128];
  ErrorResponse error;
  char text[256];
};

static void answer_error(struct answering *answering, enum status status, const char *what,
                         const char *name) {
  snprintf(answering->text, sizeof answering->text, "%s: %.120s", what, name);
  answering->error.error_code = status_grpc(status);
  answering->error.error_message = answering->text;
  answering->response.message_response_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
  answering->response.error_response = &answering->error;
}

static bool find_file(const char *name, size_t bytes, struct span *file) {
  struct span files = all_files();
  while (next_file(&files, file))
    if (is_name(first_of(*file, FILE_NAME), name, bytes)) return true;
  return false;
}

/* Unless it is there. */
static void add_file(FileResponse *files, struct span file) {
  size_t count = files->n_file_descriptor_proto;
  for (size_t i = 0; i < count; i++)
    if (files->file_descriptor_proto[i].data == file.at) return;
  if (count == FILES_MAX) return;
  files->file_descriptor_proto[count] =
      (ProtobufCBinaryData){span_bytes(file), (uint8_t *)(uintptr_t)file.at};
  files->n_file_descriptor_proto++;
}

/* A file, and behind it all that it imports, and what those do. */
static void answer_file(struct answering *answering, struct span file) {
  FileResponse *files = &answering->files;
  files->file_descriptor_proto = answering->file_list;
  add_file(files, file);
  for (size_t next = 0; next < files->n_file_descriptor_proto; next++) {
    const ProtobufCBinaryData *of = &answering->file_list[next];
    struct span rest = {of->data, of->data + of->len};
    struct field import;
    while (next_of(&rest, FILE_DEPENDENCY, &import))
      if (find_file((const char *)import.value.at, span_bytes(import.value), &file))
        add_file(files, file);
  }
  answering->response.message_response_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
  answering->response.file_descriptor_response = files;
}

static void answer_filename(struct answering *answering, const char *name) {
  struct span file;
  if (find_file(name, strlen(name), &file))
    answer_file(answering, file);
  else
    answer_error(answering, STATUS_NOT_FOUND, "there is no file of this name", name);
}

static void answer_symbol(struct answering *answering, const char *symbol) {
  struct span files = all_files();
  struct span file;
  while (next_file(&files, &file)) {
    if (!has_symbol(file, symbol)) continue;
    answer_file(answering, file);
    return;
  }
  answer_error(answering, STATUS_NOT_FOUND, "there is no symbol of this name", symbol);
}

static void answer_services(struct answering *answering) {
  ServicesResponse *services = &answering->services;
  struct span files = all_files();
  struct span file;
  services->service = answering->service_pointers;
  while (next_file(&files, &file)) {
    struct span package = first_of(file, FILE_PACKAGE);
    struct span rest = file;
    struct field field;
    while (services->n_service < SERVICES_MAX && next_of(&rest, FILE_SERVICE, &field)) {
      size_t at = services->n_service++;
      struct span name = first_of(field.value, ANY_NAME);
      snprintf(answering->names[at], sizeof answering->names[at], "%.*s.%.*s",
               (int)span_bytes(package), (const char *)package.at, (int)span_bytes(name),
               (const char *)name.at);
      grpc__reflection__v1__service_response__init(&answering->service_list[at]);
      answering->service_list[at].name = answering->names[at];
      answering->service_pointers[at] = &answering->service_list[at];
    }
  }
  answering->response.message_response_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
  answering->response.list_services_response = services;
}

/* ---- extensions --------------------------------------------------------------------------------- */

/* Extensions of `type` at the top of a file (none of ours are within messages): their numbers, at most
 * EXTENSIONS_MAX in all. */
static size_t add_extensions(struct span file, const char *type, int32_t *numbers, size_t count) {
  struct field field;
  while (count < EXTENSIONS_MAX && next_of(&file, FILE_EXTENSION, &field)) {
    struct span extendee = first_of(field.value, FIELD_EXTENDEE); /* ".package.Type" */
    struct field number;
    bool is_full = span_bytes(extendee) > 0 && *extendee.at == '.';
    if (is_full) extendee.at++;
    if (is_name(extendee, type, strlen(type)) && next_of(&field.value, FIELD_NUMBER, &number))
      numbers[count++] = (int32_t)number.integer;
  }
  return count;
}

static void answer_extension(struct answering *answering, const char *type, int32_t number) {
  struct span files = all_files();
  struct span file;
  int32_t numbers[EXTENSIONS_MAX];
  while (next_file(&files, &file)) {
    size_t count = add_extensions(file, type, numbers, 0);
    for (size_t i = 0; i < count; i++) {
      if (numbers[i] != number) continue;
      answer_file(answering, file);
      return;
    }
  }
  answer_error(answering, STATUS_NOT_FOUND,
               is_message(type) ? "it has no extension of this number"
                                : "there is no message of this name",
               type);
}

static void answer_extensions(struct answering *answering, char *type) {
  ExtensionResponse *extensions = &answering->extensions;
  struct span files = all_files();
  struct span file;
  extensions->extension_number = answering->numbers;
  while (next_file(&files, &file))
    extensions->n_extension_number =
        add_extensions(file, type, answering->numbers, extensions->n_extension_number);
  if (extensions->n_extension_number == 0 && !is_message(type)) {
    answer_error(answering, STATUS_NOT_FOUND, "there is no message of this name", type);
    return;
  }
  extensions->base_type_name = type;
  answering->response.message_response_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
  answering->response.all_extension_numbers_response = extensions;
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void answer(struct answering *answering, Request *request) {
  switch (request->message_request_case) {
  case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
    answer_filename(answering, request->file_by_filename);
    break;
  case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
    answer_symbol(answering, request->file_containing_symbol);
    break;
  case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
    answer_extension(answering, request->file_containing_extension->containing_type,
                     request->file_containing_extension->extension_number);
    break;
  case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
    answer_extensions(answering, request->all_extension_numbers_of_type);
    break;
  case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
    answer_services(answering);
    break;
  default:
    answer_error(answering, STATUS_UNSUPPORTED, "this is not asked in a way that is known", "");
    break;
  }
}

enum status flight_reflect(const void *request, int64_t bytes, struct budget *budget,
                           struct buffer *answer_bytes, struct error *error) {
  struct answering *answering = NULL;
  enum status status = STATUS_OK;
  *answer_bytes = BUFFER_EMPTY;
  Request *asked = grpc__reflection__v1__server_reflection_request__unpack(
      NULL, (size_t)bytes, bytes == 0 ? (const uint8_t *)"" : request);
  if (asked == NULL)
    return error_set(error, STATUS_INVALID, "the message is not a ServerReflectionRequest");
  answering = calloc(1, sizeof *answering);
  if (answering == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for an answer");
    goto done;
  }
  grpc__reflection__v1__server_reflection_response__init(&answering->response);
  grpc__reflection__v1__file_descriptor_response__init(&answering->files);
  grpc__reflection__v1__extension_number_response__init(&answering->extensions);
  grpc__reflection__v1__list_service_response__init(&answering->services);
  grpc__reflection__v1__error_response__init(&answering->error);
  answering->response.valid_host = asked->host;
  answering->response.original_request = asked;
  answer(answering, asked);
  size_t made =
      grpc__reflection__v1__server_reflection_response__get_packed_size(&answering->response);
  status = buffer_reserve(answer_bytes, budget, (int64_t)made, error);
  if (status == STATUS_OK)
    answer_bytes->size_bytes = (int64_t)grpc__reflection__v1__server_reflection_response__pack(
        &answering->response, answer_bytes->data);
done:
  free(answering);
  grpc__reflection__v1__server_reflection_request__free_unpacked(asked, NULL);
  return status;
}
