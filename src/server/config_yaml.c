/* YAML into settings. libyaml turns bytes into events; what the events may be is said
 * by the tables: this file only walks both together.
 *
 * A configuration is trees of plain values, so the parts of YAML that only attackers
 * and accidents use are refused by name: aliases and anchors (a kilobyte that expands
 * to gigabytes), tags, several documents, control characters, bytes that are not
 * UTF-8. Depth follows the tables, which are four deep. Every message begins with
 * file:line:column. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/text.h"
#include "server/settings.h"

enum { KEYS_MAX = 64, WHERE_BYTES = 512 };

struct reader {
  yaml_parser_t parser;
  const char *file;
  const char *data;
  const char *only; /* the one key that may stand at the top; NULL: any */
  bool secret;      /* what comes next is one: messages must not repeat it */
};

/* What stands in the file, for a message. */
static const char *shown(const struct reader *reader, const void *text) {
  return reader->secret ? "..." : (const char *)text;
}

/* Puts file, line and column before a message. */
static enum status place(const struct reader *reader, yaml_mark_t mark, struct error *error) {
  error_at(error, "%.200s:%zu:%zu", reader->file, mark.line + 1, mark.column + 1);
  return STATUS_INVALID;
}

#define REFUSE(reader, mark, error, ...)                                                           \
  (error_set((error), STATUS_INVALID, __VA_ARGS__), place((reader), (mark), (error)))

/* ---- bytes ---------------------------------------------------------------------- */

/* The length of the control character at `bytes`; 0: it is none. Tab and line ends
 * are let through where `layout`. */
static size_t control_bytes(const uint8_t *bytes, size_t left, bool layout) {
  if (layout && (*bytes == '\t' || *bytes == '\n' || *bytes == '\r')) return 0;
  if (*bytes < 0x20 || *bytes == 0x7F) return 1;
  return *bytes == 0xC2 && left > 1 && bytes[1] < 0xA0 ? 2 : 0; /* U+0080..U+009F */
}

/* Everything that libyaml would have to be trusted with otherwise. */
static enum status check_bytes(const struct reader *reader, size_t bytes, struct error *error) {
  const uint8_t *data = (const uint8_t *)reader->data;
  if (bytes > SETTINGS_FILE_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "%.200s: the file has more than %d bytes; is it a configuration?",
                     reader->file, SETTINGS_FILE_BYTES_MAX);
  size_t valid = utf8_valid_bytes(data, bytes);
  yaml_mark_t mark = {0};
  for (size_t i = 0; i < valid; i++) {
    if (control_bytes(&data[i], bytes - i, true) > 0)
      return REFUSE(reader, mark, error,
                    "a control character (byte 0x%02x) is in the file; remove it", data[i]);
    if ((data[i] & 0xC0) != 0x80) mark.column++;
    if (data[i] != '\n') continue;
    mark.line++;
    mark.column = 0;
  }
  if (valid < bytes)
    return REFUSE(reader, mark, error, "the file is not UTF-8 from here on; save it as UTF-8");
  return STATUS_OK;
}

/* ---- events --------------------------------------------------------------------- */

/* The byte at a mark, whose index counts characters. */
static char byte_at(const struct reader *reader, yaml_mark_t mark) {
  const char *at = reader->data;
  for (size_t left = mark.index; left > 0 && *at != '\0'; left--) do
      at++;
    while (((uint8_t)*at & 0xC0) == 0x80);
  return *at;
}

static enum status parser_failed(const struct reader *reader, struct error *error) {
  const yaml_parser_t *parser = &reader->parser;
  yaml_mark_t mark = parser->problem_mark;
  if (parser->error == YAML_MEMORY_ERROR)
    return error_set(error, STATUS_NOMEM, "no memory for the configuration");
  const char *problem = parser->problem == NULL ? "broken YAML" : parser->problem;
  if (byte_at(reader, mark) == '\t')
    return REFUSE(reader, mark, error, "a tab stands where YAML wants spaces; indent with spaces");
  if (parser->context == NULL) return REFUSE(reader, mark, error, "%s", problem);
  return REFUSE(reader, mark, error, "%s, %s that began in line %zu", problem, parser->context,
                parser->context_mark.line + 1);
}

static enum status check_properties(const struct reader *reader, yaml_mark_t mark,
                                    const yaml_char_t *anchor, const yaml_char_t *tag,
                                    struct error *error) {
  if (anchor != NULL)
    return REFUSE(reader, mark, error,
                  "anchors (&%.50s) are not taken; write the value out (in quotes, if it begins "
                  "with &)",
                  shown(reader, anchor));
  if (tag != NULL)
    return REFUSE(reader, mark, error,
                  "tags (%.50s) are not taken; write the value alone (in quotes, if it begins "
                  "with !)",
                  shown(reader, tag));
  return STATUS_OK;
}

static enum status check_scalar(const struct reader *reader, const yaml_event_t *event,
                                struct error *error) {
  const uint8_t *value = event->data.scalar.value;
  size_t bytes = event->data.scalar.length;
  for (size_t i = 0; i < bytes; i++)
    if (control_bytes(&value[i], bytes - i, false) > 0)
      return REFUSE(reader, event->start_mark, error,
                    "the text has a control character or a line break in it; write it in one line");
  return check_properties(reader, event->start_mark, event->data.scalar.anchor,
                          event->data.scalar.tag, error);
}

/* The next event, of a kind that may be; the caller deletes it on STATUS_OK. */
static enum status next(struct reader *reader, yaml_event_t *event, struct error *error) {
  enum status status = STATUS_OK;
  if (yaml_parser_parse(&reader->parser, event) == 0) return parser_failed(reader, error);
  switch (event->type) {
  case YAML_ALIAS_EVENT:
    status = REFUSE(reader, event->start_mark, error,
                    "aliases (*%.50s) are not taken; write the value out (in quotes, if it begins "
                    "with *)",
                    shown(reader, event->data.alias.anchor));
    break;
  case YAML_SCALAR_EVENT: status = check_scalar(reader, event, error); break;
  case YAML_SEQUENCE_START_EVENT:
    status = check_properties(reader, event->start_mark, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag, error);
    break;
  case YAML_MAPPING_START_EVENT:
    status = check_properties(reader, event->start_mark, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag, error);
    break;
  default: break;
  }
  if (status != STATUS_OK) yaml_event_delete(event);
  return status;
}

/* What `null`, `~` and nothing at all mean in YAML: no value. */
static bool is_null(const yaml_event_t *event) {
  static const char *const names[] = {"", "~", "null", "Null", "NULL"};
  if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
    return false;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp((const char *)event->data.scalar.value, names[i]) == 0) return true;
  return false;
}

static const char *scalar(const yaml_event_t *event) {
  return (const char *)event->data.scalar.value;
}

/* ---- values --------------------------------------------------------------------- */

static enum status no_value(const struct reader *reader, const char *key, const yaml_event_t *event,
                            struct error *error) {
  if (event->data.scalar.length > 1)
    return REFUSE(reader, event->start_mark, error,
                  "'%s' is null, which means no value; leave the line out for the default, or "
                  "write '%s' in quotes if that is a name",
                  key, scalar(event));
  return REFUSE(reader, event->start_mark, error,
                "'%s' has no value; give one, or leave the line out for the default", key);
}

/* The items of a list, after its start. */
static enum status read_items(struct reader *reader, struct config *values, const char *key,
                              struct error *error) {
  enum status status = config_set(values, key, "", CONFIG_FILE, error); /* no default any more */
  while (status == STATUS_OK) {
    yaml_event_t event;
    status = next(reader, &event, error);
    if (status != STATUS_OK) return status;
    bool last = event.type == YAML_SEQUENCE_END_EVENT;
    if (is_null(&event)) {
      status = no_value(reader, key, &event, error);
    } else if (event.type == YAML_SCALAR_EVENT) {
      status = config_add(values, key, scalar(&event), CONFIG_FILE, error);
      if (status != STATUS_OK) place(reader, event.start_mark, error);
    } else if (!last) {
      status = REFUSE(reader, event.start_mark, error, "'%s' is a list of plain values", key);
    }
    yaml_event_delete(&event);
    if (last) return status;
  }
  return status;
}

static enum status read_field(struct reader *reader, struct config *values,
                              const struct config_field *field, struct error *error) {
  yaml_event_t event;
  reader->secret = field->secret;
  enum status status = next(reader, &event, error);
  reader->secret = false;
  if (status != STATUS_OK) return status;
  if (is_null(&event)) {
    status = no_value(reader, field->name, &event, error);
  } else if (event.type == YAML_SCALAR_EVENT) {
    status = config_set(values, field->name, scalar(&event), CONFIG_FILE, error);
    if (status != STATUS_OK) place(reader, event.start_mark, error);
  } else if (event.type == YAML_SEQUENCE_START_EVENT && field->type == CONFIG_LIST) {
    status = read_items(reader, values, field->name, error);
  } else {
    status =
        REFUSE(reader, event.start_mark, error, "'%s' takes %s, not %s", field->name,
               field->type == CONFIG_LIST ? "a list of values ([a, b])" : "one value",
               event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "settings indented below it");
  }
  yaml_event_delete(&event);
  return status;
}

/* ---- sections ------------------------------------------------------------------- */

static enum status read_mapping(struct reader *reader, struct settings *settings,
                                struct error *error);

/* What stands after the key of a section. */
static enum status read_section(struct reader *reader, struct settings *settings, const char *key,
                                struct error *error) {
  yaml_event_t event;
  enum status status = next(reader, &event, error);
  if (status != STATUS_OK) return status;
  if (event.type == YAML_MAPPING_START_EVENT) {
    status = read_mapping(reader, settings, error);
  } else if (is_null(&event)) {
    /* A section whose lines are all commented out says nothing. */
  } else if (event.type == YAML_SCALAR_EVENT && settings->section->short_form != NULL) {
    status = settings->section->short_form(settings->values, scalar(&event), CONFIG_FILE, error);
    if (status != STATUS_OK) place(reader, event.start_mark, error);
  } else {
    status = REFUSE(reader, event.start_mark, error,
                    "'%.100s' has settings of its own: write them below it, indented", key);
  }
  yaml_event_delete(&event);
  return status;
}

static enum status read_entry(struct reader *reader, struct settings *settings,
                              const yaml_event_t *key, struct error *error) {
  size_t bytes = key->data.scalar.length;
  if (bytes == 0 || bytes > SETTINGS_NAME_BYTES_MAX)
    return REFUSE(reader, key->start_mark, error, "a name in '%s' has %zu bytes; 1 to %d are taken",
                  settings->section->key, bytes, SETTINGS_NAME_BYTES_MAX);
  char where[WHERE_BYTES];
  snprintf(where, sizeof where, "%.200s:%zu:%zu", reader->file, key->start_mark.line + 1,
           key->start_mark.column + 1);
  struct settings *entry = NULL;
  enum status status = settings_entry_add(settings, scalar(key), where, &entry, error);
  if (status != STATUS_OK) return status;
  return read_section(reader, entry, scalar(key), error);
}

/* Fills `names` with the keys that may stand here: fields first, then sections. */
static size_t known_keys(const struct settings *settings, const char *names[KEYS_MAX]) {
  size_t count = 0;
  for (const struct config_field *field = settings->section->fields; field->name != NULL; field++)
    names[count++] = field->name;
  for (size_t i = 0; i < settings->section_count; i++)
    names[count++] = settings->sections[i].section->key;
  assert(count <= KEYS_MAX);
  return count;
}

static enum status unknown_key(const struct reader *reader, const yaml_event_t *key,
                               const char *const *names, size_t count, struct error *error) {
  const char *nearest = text_nearest(scalar(key), names, count);
  if (nearest != NULL)
    return REFUSE(reader, key->start_mark, error, "unknown key '%.100s'; did you mean '%s'?",
                  scalar(key), nearest);
  struct text list = TEXT_EMPTY;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = text_add_format(&list, error, "%s%s", i == 0 ? "" : ", ", names[i]);
  if (status == STATUS_OK)
    status = REFUSE(reader, key->start_mark, error, "unknown key '%.100s'; those here are %s",
                    scalar(key), text_get(&list));
  text_release(&list);
  return status;
}

/* One key and what belongs to it. `seen` says which keys stood here before. */
static enum status read_pair(struct reader *reader, struct settings *settings,
                             const yaml_event_t *key, bool seen[KEYS_MAX], struct error *error) {
  if (key->type != YAML_SCALAR_EVENT)
    return REFUSE(reader, key->start_mark, error, "a key must be one word");
  if (settings->section->entry != NULL) return read_entry(reader, settings, key, error);

  const char *names[KEYS_MAX];
  size_t count = known_keys(settings, names);
  size_t at = 0;
  while (at < count && strcmp(names[at], scalar(key)) != 0) at++;
  if (at == count) return unknown_key(reader, key, names, count, error);
  bool top = settings->section->key[0] == '\0';
  if (top && reader->only != NULL && strcmp(names[at], reader->only) != 0)
    return REFUSE(reader, key->start_mark, error,
                  "this file may hold only '%s:'; move '%s' to the configuration file",
                  reader->only, names[at]);
  if (seen[at])
    return REFUSE(reader, key->start_mark, error, "'%s' is given twice; keep one of them",
                  names[at]);
  seen[at] = true;
  size_t field_count = count - settings->section_count;
  if (at < field_count)
    return read_field(reader, settings->values, &settings->section->fields[at], error);
  return read_section(reader, &settings->sections[at - field_count], names[at], error);
}

/* The pairs of a mapping, after its start. */
static enum status read_mapping(struct reader *reader, struct settings *settings,
                                struct error *error) {
  bool seen[KEYS_MAX] = {false};
  enum status status = STATUS_OK;
  while (status == STATUS_OK) {
    yaml_event_t event;
    status = next(reader, &event, error);
    if (status != STATUS_OK) return status;
    bool last = event.type == YAML_MAPPING_END_EVENT;
    if (!last) status = read_pair(reader, settings, &event, seen, error);
    yaml_event_delete(&event);
    if (last) break;
  }
  return status;
}

/* ---- the file ------------------------------------------------------------------- */

/* The document's one value: a mapping, or nothing. */
static enum status read_document(struct reader *reader, struct settings *settings,
                                 struct error *error) {
  yaml_event_t event;
  enum status status = next(reader, &event, error);
  if (status != STATUS_OK) return status;
  if (event.type == YAML_MAPPING_START_EVENT)
    status = read_mapping(reader, settings, error);
  else if (!is_null(&event))
    status = REFUSE(reader, event.start_mark, error,
                    "a configuration is made of lines `key: value`; this is none");
  yaml_event_delete(&event);
  return status;
}

static enum status read_stream(struct reader *reader, struct settings *settings,
                               struct error *error) {
  enum status status = STATUS_OK;
  int documents = 0;
  for (bool more = true; more && status == STATUS_OK;) {
    yaml_event_t event;
    status = next(reader, &event, error);
    if (status != STATUS_OK) return status;
    more = event.type != YAML_STREAM_END_EVENT;
    if (event.type == YAML_DOCUMENT_START_EVENT) {
      status = documents++ == 0 ? read_document(reader, settings, error)
                                : REFUSE(reader, event.start_mark, error,
                                         "a second document begins here; one file holds one");
    }
    yaml_event_delete(&event);
  }
  return status;
}

enum status settings_yaml(struct settings *settings, const void *data, size_t bytes,
                          const char *file, const char *only, struct error *error) {
  /* A copy with a NUL behind it: messages look at the byte where parsing stopped. */
  char *copy = NULL;
  struct reader reader = {.file = file, .only = only};
  enum status status = STATUS_OK;
  bool open = false;
  if (bytes >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) { /* what some editors put first */
    data = (const char *)data + 3;
    bytes -= 3;
  }
  reader.data = data;
  status = check_bytes(&reader, bytes, error);
  if (status != STATUS_OK) goto done;
  copy = malloc(bytes + 1);
  open = copy != NULL && yaml_parser_initialize(&reader.parser) != 0;
  if (!open) {
    status = error_set(error, STATUS_NOMEM, "no memory for the configuration");
    goto done;
  }
  if (bytes > 0) memcpy(copy, data, bytes);
  copy[bytes] = '\0';
  reader.data = copy;
  yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&reader.parser, (const unsigned char *)copy, bytes);
  status = read_stream(&reader, settings, error);
done:
  if (open) yaml_parser_delete(&reader.parser);
  if (copy != NULL) explicit_bzero(copy, bytes); /* there may be secrets in it */
  free(copy);
  return status;
}
