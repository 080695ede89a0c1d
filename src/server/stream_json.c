/* A reader of one kind of object, a state at a time:
 *
 *   BEGIN {-> KEY_OR_END "-> IN_KEY "-> COLON :-> VALUE -> one of
 *       CONFIG     brackets and strings are followed to the end of the value, its text is kept
 *                  (whether it is JSON all through is seen when it is parsed as a whole)
 *       BASE64     the string of arrow_schema or data
 *       {          batch: KEY_OR_END, one level down
 *     -> COMMA_OR_END ,-> KEY ...  }-> one level up, or OVER
 *
 * 1. In BASE64 what stands in the string goes to the decoder straight, run by run; only escapes
 *    and blanks are taken apart here, a character at a time. Lines may be broken by \\r and \\n.
 * 2. Every byte before `offset_bytes` was looked at; nothing of it is looked at again. */
#include "server/stream_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

enum { KEY_BYTES_MAX = 64 };

enum state { BEGIN, KEY_OR_END, KEY, IN_KEY, COLON, VALUE, CONFIG, BASE64, COMMA_OR_END, OVER };
enum member { NONE = 0, MEMBER_CONFIG = 1, MEMBER_BATCH = 2, MEMBER_SCHEMA = 4, MEMBER_DATA = 8 };

/* Where in an escape a string is. */
struct escape {
  uint8_t digits; /* that \u still wants; 0 and `begun`: the character after the backslash */
  bool begun;
  uint32_t code;
};

struct stream_json {
  struct budget *budget;
  enum state state;
  bool in_batch;
  unsigned seen; /* members that have come, or have begun */
  unsigned whole;
  enum member member; /* whose value is read */
  int64_t offset_bytes;
  char key[KEY_BYTES_MAX + 1];
  size_t key_bytes;
  struct escape escape;
  struct text config;
  int depth; /* of brackets in the config */
  bool in_string;
  struct buffer schema;
  struct base64_decoder base64;
  int escaped; /* a character that an escape has said and that waits for the decoder; -1: none */
};

static const struct {
  const char *name;
  enum member member;
  bool in_batch;
} members[] = {{"config", MEMBER_CONFIG, false},
               {"batch", MEMBER_BATCH, false},
               {"arrow_schema", MEMBER_SCHEMA, true},
               {"data", MEMBER_DATA, true}};
enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

enum status stream_json_new(struct budget *budget, struct stream_json **json, struct error *error) {
  *json = calloc(1, sizeof **json);
  if (*json == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  (*json)->budget = budget;
  (*json)->escaped = -1;
  return STATUS_OK;
}

void stream_json_free(struct stream_json *json) {
  if (json == NULL) return;
  text_release(&json->config);
  buffer_release(&json->schema);
  free(json);
}

bool stream_json_in_data(const struct stream_json *json) {
  return json->state == BASE64 && json->member == MEMBER_DATA;
}

const struct text *stream_json_config(const struct stream_json *json) { return &json->config; }
const struct buffer *stream_json_schema(const struct stream_json *json) { return &json->schema; }
bool stream_json_has_config(const struct stream_json *json) {
  return (json->whole & MEMBER_CONFIG) != 0;
}
bool stream_json_has_schema(const struct stream_json *json) {
  return (json->whole & MEMBER_SCHEMA) != 0;
}

static enum status refuse(const struct stream_json *json, const char *what, struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "the body is not the JSON that is expected: byte %" PRId64 " is not %s",
                   json->offset_bytes, what);
}

/* ---- strings ----------------------------------------------------------------------------- */

static int hex_value(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

/* A byte of an escape that has begun. True when it is whole: `code` is what it says. `*valid`
 * false: there is no such escape. */
static bool take_escape(struct escape *escape, uint8_t byte, bool *valid) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  *valid = true;
  if (escape->digits == 0) {
    escape->code = 0;
    if (byte == 'u') {
      escape->digits = 4;
      return false;
    }
    const char *found = byte == '\0' ? NULL : strchr(from, byte);
    *valid = found != NULL;
    if (*valid) escape->code = (uint8_t)to[found - from];
    escape->begun = false;
    return *valid;
  }
  int value = hex_value(byte);
  *valid = value >= 0;
  if (!*valid) return false;
  escape->code = escape->code << 4 | (uint32_t)value;
  escape->begun = --escape->digits > 0;
  return !escape->begun;
}

/* ---- members ------------------------------------------------------------------------------- */

static enum status find_member(struct stream_json *json, struct error *error) {
  const char *names[MEMBER_COUNT];
  size_t count = 0;
  json->key[json->key_bytes] = '\0';
  for (size_t i = 0; i < MEMBER_COUNT; i++) {
    if (members[i].in_batch != json->in_batch) continue;
    names[count++] = members[i].name;
    if (strcmp(members[i].name, json->key) != 0) continue;
    if ((json->seen & members[i].member) != 0)
      return error_set(error, STATUS_INVALID, "the body has \"%s\" twice", json->key);
    json->member = members[i].member;
    json->seen |= members[i].member;
    json->state = COLON;
    return STATUS_OK;
  }
  const char *nearest = text_nearest(json->key, names, count);
  return error_set(error, STATUS_INVALID, "\"%s\" is not known in %s%s%s%s; %s and %s are",
                   json->key, json->in_batch ? "\"batch\"" : "the body",
                   nearest != NULL ? " (did you mean " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "?)" : "", names[0], names[1]);
}

/* What an escape says, into a key: names of members are ASCII, so other characters need only
 * make the key another one. */
static enum status add_to_key(struct stream_json *json, uint32_t code, struct error *error) {
  if (json->key_bytes == KEY_BYTES_MAX)
    return refuse(json, "part of a name that is known: config, batch, arrow_schema, data", error);
  json->key[json->key_bytes++] = code == 0 || code > 0xFF ? '?' : (char)code;
  return STATUS_OK;
}

static enum status take_key_byte(struct stream_json *json, uint8_t byte, struct error *error) {
  bool valid;
  if (json->escape.begun) {
    if (take_escape(&json->escape, byte, &valid)) return add_to_key(json, json->escape.code, error);
    return valid ? STATUS_OK : refuse(json, "an escape of JSON", error);
  }
  if (byte == '"') return find_member(json, error);
  if (byte < 0x20) return refuse(json, "allowed inside a string", error);
  json->escape = (struct escape){.begun = byte == '\\'};
  return json->escape.begun ? STATUS_OK : add_to_key(json, byte, error);
}

/* ---- values --------------------------------------------------------------------------------- */

static enum status begin_value(struct stream_json *json, uint8_t byte, struct error *error) {
  switch (json->member) {
  case MEMBER_CONFIG:
    if (byte != '{') return refuse(json, "the begin of an object, which \"config\" is", error);
    json->state = CONFIG;
    json->depth = 1;
    return text_add_bytes(&json->config, &byte, 1, error);
  case MEMBER_BATCH:
    if (byte != '{') return refuse(json, "the begin of an object, which \"batch\" is", error);
    json->in_batch = true;
    json->state = KEY_OR_END;
    return STATUS_OK;
  case MEMBER_SCHEMA:
  case MEMBER_DATA:
    if (byte != '"') return refuse(json, "the begin of a string of base64", error);
    json->base64 = BASE64_START;
    json->escape = (struct escape){.begun = false};
    json->state = BASE64;
    return STATUS_OK;
  case NONE: break;
  }
  return refuse(json, "expected", error);
}

static void end_value(struct stream_json *json) {
  json->whole |= json->member;
  json->state = COMMA_OR_END;
}

static void end_object(struct stream_json *json) {
  json->state = json->in_batch ? COMMA_OR_END : OVER;
  if (json->in_batch) json->whole |= MEMBER_BATCH;
  json->in_batch = false;
}

/* A byte of the config: only where it ends is of interest. */
static enum status take_config_byte(struct stream_json *json, uint8_t byte, struct error *error) {
  if (json->escape.begun) {
    json->escape.begun = false;
  } else if (json->in_string) {
    json->escape.begun = byte == '\\';
    json->in_string = byte != '"';
  } else if (byte == '"') {
    json->in_string = true;
  } else if (byte == '{' || byte == '[') {
    if (++json->depth > STREAM_JSON_DEPTH_MAX)
      return error_set(error, STATUS_INVALID, "\"config\" is nested more than %d deep",
                       STREAM_JSON_DEPTH_MAX);
  } else if (byte == '}' || byte == ']') {
    json->depth--;
  }
  if (json->config.size_bytes == STREAM_JSON_CONFIG_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "\"config\" has more than %d bytes",
                     STREAM_JSON_CONFIG_BYTES_MAX);
  enum status status = text_add_bytes(&json->config, &byte, 1, error);
  if (json->depth == 0) end_value(json);
  return status;
}

static bool is_space(uint8_t byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* One byte outside of base64. */
static enum status take_byte(struct stream_json *json, uint8_t byte, struct error *error) {
  if (json->state == IN_KEY) return take_key_byte(json, byte, error);
  if (json->state == CONFIG) return take_config_byte(json, byte, error);
  if (is_space(byte)) return STATUS_OK;
  switch (json->state) {
  case BEGIN:
    if (byte != '{') return refuse(json, "the begin of an object", error);
    json->state = KEY_OR_END;
    return STATUS_OK;
  case KEY_OR_END:
    if (byte == '}') {
      end_object(json);
      return STATUS_OK;
    }
    /* fall through */
  case KEY:
    if (byte != '"') return refuse(json, "the begin of a name", error);
    json->key_bytes = 0;
    json->escape = (struct escape){.begun = false};
    json->state = IN_KEY;
    return STATUS_OK;
  case COLON:
    if (byte != ':') return refuse(json, "a colon", error);
    json->state = VALUE;
    return STATUS_OK;
  case VALUE: return begin_value(json, byte, error);
  case COMMA_OR_END:
    if (byte == ',')
      json->state = KEY;
    else if (byte == '}')
      end_object(json);
    else
      return refuse(json, "a comma or the end of the object", error);
    return STATUS_OK;
  case OVER:
  case IN_KEY:
  case CONFIG:
  case BASE64: break;
  }
  return refuse(json, "expected: the object has ended", error);
}

/* ---- base64 ------------------------------------------------------------------------------------ */

/* Room for what is decoded of the schema; that of the data is the caller's. */
static enum status schema_room(struct stream_json *json, int64_t bytes, struct error *error) {
  int64_t wanted = json->schema.size_bytes + bytes;
  if (wanted > STREAM_JSON_SCHEMA_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "\"arrow_schema\" has more than %d bytes",
                     STREAM_JSON_SCHEMA_BYTES_MAX);
  if (wanted <= json->schema.capacity_bytes) return STATUS_OK;
  int64_t doubled = 2 * json->schema.capacity_bytes;
  return buffer_reserve(&json->schema, json->budget, wanted > doubled ? wanted : doubled, error);
}

static enum status refuse_base64(const struct stream_json *json, struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "byte %" PRId64 " of the body, in \"%s\", is not base64 (the standard alphabet, "
                   "padded)",
                   json->offset_bytes, json->member == MEMBER_DATA ? "data" : "arrow_schema");
}

/* The byte that the base64 decoder does not know: the end of the string, or an escape. */
static enum status take_foreign(struct stream_json *json, uint8_t byte, struct error *error) {
  bool valid;
  if (json->escape.begun) {
    if (take_escape(&json->escape, byte, &valid)) {
      if (json->escape.code > 0x7F) return refuse_base64(json, error);
      if (!is_space((uint8_t)json->escape.code)) json->escaped = (int)json->escape.code;
    }
    return valid ? STATUS_OK : refuse(json, "an escape of JSON", error);
  }
  if (byte == '\\') {
    json->escape = (struct escape){.begun = true};
    return STATUS_OK;
  }
  if (byte == ' ') return STATUS_OK;
  if (byte != '"') return refuse_base64(json, error);
  if (!base64_whole(&json->base64))
    return error_set(error, STATUS_INVALID,
                     "\"%s\" ends at byte %" PRId64 " of the body inside a group of base64: it is "
                     "cut, or its padding is missing",
                     json->key, json->offset_bytes);
  end_value(json);
  return STATUS_OK;
}

/* The character that an escape has said. */
static enum status take_escaped(struct stream_json *json, uint8_t **out, const uint8_t *out_end,
                                bool *room_missing, struct error *error) {
  uint8_t byte = (uint8_t)json->escaped;
  const uint8_t *at = &byte;
  enum base64_stop stop = base64_decode(&json->base64, &at, &byte + 1, out, out_end);
  if (stop == BASE64_FOREIGN) return refuse_base64(json, error);
  if (at > &byte) json->escaped = -1;
  *room_missing = stop == BASE64_ROOM;
  return STATUS_OK;
}

/* Bytes of a string of base64 up to its end, or until room is missing. */
static enum status take_base64(struct stream_json *json, const uint8_t **in, const uint8_t *in_end,
                               uint8_t **out, const uint8_t *out_end, bool *room_missing,
                               struct error *error) {
  *room_missing = false;
  while (json->state == BASE64) {
    enum status status = STATUS_OK;
    if (json->escaped >= 0) status = take_escaped(json, out, out_end, room_missing, error);
    if (status != STATUS_OK || *room_missing) return status;
    if (!json->escape.begun) {
      const uint8_t *begin = *in;
      *room_missing = base64_decode(&json->base64, in, in_end, out, out_end) == BASE64_ROOM;
      json->offset_bytes += *in - begin;
      if (*room_missing) return STATUS_OK;
    }
    if (*in == in_end) return STATUS_OK;
    status = take_foreign(json, **in, error);
    if (status != STATUS_OK) return status;
    ++*in;
    json->offset_bytes++;
  }
  return STATUS_OK;
}

static enum status take_schema(struct stream_json *json, const uint8_t **in, const uint8_t *in_end,
                               struct error *error) {
  /* Three bytes of four characters, and what waits. */
  enum status status = schema_room(json, (in_end - *in) / 4 * 3 + 6, error);
  if (status != STATUS_OK) return status;
  uint8_t *out = json->schema.data + json->schema.size_bytes;
  bool room_missing;
  status = take_base64(json, in, in_end, &out, json->schema.data + json->schema.capacity_bytes,
                       &room_missing, error);
  json->schema.size_bytes = out - json->schema.data;
  return status;
}

/* ---- feeding ------------------------------------------------------------------------------------- */

/* What is to be told, now that the state may have changed. */
static bool event_of(const struct stream_json *json, unsigned whole_before,
                     enum stream_json_event *event) {
  switch (json->whole & ~whole_before & ~(unsigned)MEMBER_BATCH) {
  case MEMBER_CONFIG: *event = STREAM_JSON_CONFIG; return true;
  case MEMBER_SCHEMA: *event = STREAM_JSON_SCHEMA; return true;
  case MEMBER_DATA: *event = STREAM_JSON_DATA; return true;
  default: return false;
  }
}

enum status stream_json_feed(struct stream_json *json, const uint8_t *in, int64_t in_bytes,
                             int64_t *used, uint8_t *out, int64_t room, int64_t *made,
                             enum stream_json_event *event, struct error *error) {
  const uint8_t *at = in, *end = in + in_bytes;
  uint8_t none;
  if (room == 0) out = &none; /* no arithmetic on NULL */
  uint8_t *to = out;
  enum status status = STATUS_OK;
  unsigned whole = json->whole;
  bool told = false;
  *event = STREAM_JSON_MORE;
  while (status == STATUS_OK && at < end && !told) {
    if (json->state == BASE64 && json->member == MEMBER_SCHEMA) {
      status = take_schema(json, &at, end, error);
    } else if (json->state == BASE64) {
      status = take_base64(json, &at, end, &to, out + room, &told, error);
      if (told) *event = STREAM_JSON_ROOM;
    } else {
      status = take_byte(json, *at++, error);
      json->offset_bytes++;
    }
    if (event_of(json, whole, event)) told = true;
  }
  *used = at - in;
  *made = to - out;
  return status;
}

enum status stream_json_finish(const struct stream_json *json, struct error *error) {
  if (json->state != OVER)
    return error_set(error, STATUS_INVALID,
                     json->offset_bytes == 0 ? "the body is empty; an object with \"config\" and "
                                               "\"batch\" is expected"
                                             : "the body ends before its JSON does");
  const char *missing = (json->whole & MEMBER_CONFIG) == 0  ? "config"
                        : (json->whole & MEMBER_BATCH) == 0 ? "batch"
                        : (json->whole & MEMBER_DATA) == 0  ? "batch.data"
                                                            : NULL;
  if (missing == NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the body has no \"%s\"", missing);
}
