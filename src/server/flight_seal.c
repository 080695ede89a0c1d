/* Tickets: AES-256-GCM (NIST SP 800-38D) with a key that is drawn when the server starts and never leaves
 * it. A ticket that was changed, cut, made by somebody else or by another process does not open; what one
 * holds cannot be read.
 *
 *   sealed = version, 1 byte | nonce, 12 | encrypted | tag, 16
 *   inside = expires_ms, 8 | mark, 16 | id, 16 | bytes of who, 2 | who | command      (little endian)
 *
 * A nonce is random: with one key 2^32 tickets may be made before two of them may be the same with any
 * chance worth a thought, which at a thousand a second takes 49 days, and the key counts them.
 *
 * Ids of cancelled tickets are remembered until the tickets expire. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "server/flight.h"

enum {
  TICKET_VERSION = 1,
  KEY_BYTES = 32,
  NONCE_BYTES = 12,
  TAG_BYTES = 16,
  ID_BYTES = 16,
  AROUND_BYTES = 1 + NONCE_BYTES + TAG_BYTES,
  FIXED_BYTES = 8 + FLIGHT_MARK_BYTES + ID_BYTES + 2,
  WHO_BYTES_MAX = 4096,
  COMMAND_BYTES_MAX = 16 << 20,
};
#define TICKETS_MAX (UINT64_C(1) << 32)

struct budget flight_uncounted = {.limit_bytes = INT64_MAX};

struct cancelled {
  uint8_t id[ID_BYTES];
  int64_t expires_ms;
};

struct flight_key {
  pthread_mutex_t lock;
  uint8_t key[KEY_BYTES];
  uint64_t used; /* how many tickets it has sealed */
  struct cancelled *cancelled;
  size_t cancelled_count, cancelled_next; /* a ring once it is full */
};

static int64_t wall_ms(void) { return clock_wall_us() / 1000; }

static void put_i64(uint8_t *to, int64_t value) {
  for (int i = 0; i < 8; i++) to[i] = (uint8_t)((uint64_t)value >> (8 * i));
}

static int64_t get_i64(const uint8_t *from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value |= (uint64_t)from[i] << (8 * i);
  return (int64_t)value;
}

static enum status no_cipher(struct error *error) {
  return error_set(error, STATUS_INTERNAL, "OpenSSL does not encrypt (AES-256-GCM)");
}

enum status flight_key_new(struct flight_key **key, struct error *error) {
  struct flight_key *made = calloc(1, sizeof *made);
  *key = made;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to start");
  pthread_mutex_init(&made->lock, NULL);
  if (RAND_bytes(made->key, KEY_BYTES) == 1) return STATUS_OK;
  flight_key_free(made);
  *key = NULL;
  return error_set(error, STATUS_INTERNAL, "the system gives no random bytes");
}

void flight_key_free(struct flight_key *key) {
  if (key == NULL) return;
  pthread_mutex_destroy(&key->lock);
  OPENSSL_cleanse(key->key, KEY_BYTES);
  free(key->cancelled);
  free(key);
}

/* ---- ids ------------------------------------------------------------------------------------------ */

static void id_text(const uint8_t bytes[ID_BYTES], char id[FLIGHT_ID_BYTES]) {
  for (size_t i = 0; i < ID_BYTES; i++) {
    id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
  }
  id[FLIGHT_ID_BYTES - 1] = '\0';
}

static uint8_t nibble(char digit) {
  return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Of an id that id_text has written. */
static void id_bytes(const char id[FLIGHT_ID_BYTES], uint8_t bytes[ID_BYTES]) {
  for (size_t i = 0; i < ID_BYTES; i++)
    bytes[i] = (uint8_t)(nibble(id[2 * i]) << 4 | nibble(id[2 * i + 1]));
}

enum status flight_id_make(char id[FLIGHT_ID_BYTES], struct error *error) {
  uint8_t bytes[ID_BYTES];
  if (RAND_bytes(bytes, sizeof bytes) != 1)
    return error_set(error, STATUS_INTERNAL, "the system gives no random bytes");
  id_text(bytes, id);
  return STATUS_OK;
}

/* ---- sealing ----------------------------------------------------------------------------------------- */

static void write_inside(const struct flight_ticket *ticket, size_t who_bytes, uint8_t *to) {
  put_i64(to, ticket->expires_ms);
  to += 8;
  memcpy(to, ticket->mark, FLIGHT_MARK_BYTES);
  to += FLIGHT_MARK_BYTES;
  id_bytes(ticket->id, to);
  to += ID_BYTES;
  *to++ = (uint8_t)who_bytes;
  *to++ = (uint8_t)(who_bytes >> 8);
  memcpy(to, ticket->who, who_bytes);
  to += who_bytes;
  if (ticket->command_bytes > 0) memcpy(to, ticket->command, ticket->command_bytes);
}

/* `data`: nonce, text, room for the tag; the text is encrypted where it lies. */
static bool encrypt(const uint8_t key[KEY_BYTES], uint8_t *data, int text_bytes) {
  uint8_t *text = data + NONCE_BYTES;
  int bytes = 0, last = 0;
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  bool ok = cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, data) == 1 &&
            EVP_EncryptUpdate(cipher, text, &bytes, text, text_bytes) == 1 && bytes == text_bytes &&
            EVP_EncryptFinal_ex(cipher, text + bytes, &last) == 1 &&
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, text + text_bytes) == 1;
  EVP_CIPHER_CTX_free(cipher);
  return ok;
}

static bool decrypt(const uint8_t key[KEY_BYTES], const uint8_t *data, int text_bytes,
                    uint8_t *text) {
  const uint8_t *from = data + NONCE_BYTES;
  uint8_t tag[TAG_BYTES];
  memcpy(tag, from + text_bytes, TAG_BYTES);
  int bytes = 0, last = 0;
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  bool ok = cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, data) == 1 &&
            EVP_DecryptUpdate(cipher, text, &bytes, from, text_bytes) == 1 &&
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
            EVP_DecryptFinal_ex(cipher, text + bytes, &last) == 1;
  EVP_CIPHER_CTX_free(cipher);
  return ok;
}

static enum status count_use(struct flight_key *key, struct error *error) {
  pthread_mutex_lock(&key->lock);
  bool ok = key->used < TICKETS_MAX;
  if (ok) key->used++;
  pthread_mutex_unlock(&key->lock);
  if (ok) return STATUS_OK;
  return error_set(error, STATUS_UNAVAILABLE,
                   "this server has given out so many tickets that their key is used up: restart "
                   "it");
}

enum status flight_ticket_seal(struct flight_key *key, const struct flight_ticket *ticket,
                               struct buffer *sealed, struct error *error) {
  size_t who_bytes = strlen(ticket->who);
  *sealed = BUFFER_EMPTY;
  if (who_bytes > WHO_BYTES_MAX || ticket->command_bytes > COMMAND_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "a command of %zu bytes is more than a ticket holds (%d)",
                     ticket->command_bytes, COMMAND_BYTES_MAX);
  size_t inside_bytes = FIXED_BYTES + who_bytes + ticket->command_bytes;
  enum status status = count_use(key, error);
  if (status == STATUS_OK)
    status =
        buffer_reserve(sealed, &flight_uncounted, (int64_t)(inside_bytes + AROUND_BYTES), error);
  if (status != STATUS_OK) return status;
  sealed->data[0] = TICKET_VERSION;
  write_inside(ticket, who_bytes, sealed->data + 1 + NONCE_BYTES);
  sealed->size_bytes = (int64_t)(inside_bytes + AROUND_BYTES);
  if (RAND_bytes(sealed->data + 1, NONCE_BYTES) == 1 &&
      encrypt(key->key, sealed->data + 1, (int)inside_bytes))
    return STATUS_OK;
  buffer_release(sealed);
  return no_cipher(error);
}

/* Reads what was decrypted: only this file writes such, but a length is checked all the same. */
static bool read_inside(struct flight_ticket *ticket) {
  struct buffer *memory = &ticket->memory;
  uint8_t *at = memory->data;
  size_t who_bytes = (size_t)at[FIXED_BYTES - 2] | (size_t)at[FIXED_BYTES - 1] << 8;
  size_t left = (size_t)memory->size_bytes - FIXED_BYTES;
  if (who_bytes > left) return false;
  ticket->expires_ms = get_i64(at);
  memcpy(ticket->mark, at + 8, FLIGHT_MARK_BYTES);
  id_text(at + 8 + FLIGHT_MARK_BYTES, ticket->id);
  /* The name moves to the begin, where its NUL has room. */
  ticket->command = at + FIXED_BYTES + who_bytes;
  ticket->command_bytes = left - who_bytes;
  memmove(at, at + FIXED_BYTES, who_bytes);
  at[who_bytes] = '\0';
  ticket->who = (const char *)at;
  return true;
}

enum status flight_ticket_open(struct flight_key *key, const void *sealed, size_t bytes,
                               struct flight_ticket *ticket, struct error *error) {
  const uint8_t *data = sealed;
  *ticket = (struct flight_ticket){.memory = BUFFER_EMPTY};
  size_t inside_bytes = bytes < AROUND_BYTES ? 0 : bytes - AROUND_BYTES;
  bool ok = inside_bytes >= FIXED_BYTES && data[0] == TICKET_VERSION &&
            inside_bytes <= FIXED_BYTES + WHO_BYTES_MAX + COMMAND_BYTES_MAX;
  if (ok) {
    enum status status =
        buffer_reserve(&ticket->memory, &flight_uncounted, (int64_t)inside_bytes, error);
    if (status != STATUS_OK) return status;
    ticket->memory.size_bytes = (int64_t)inside_bytes;
    ok = decrypt(key->key, data + 1, (int)inside_bytes, ticket->memory.data) && read_inside(ticket);
  }
  if (ok) return STATUS_OK;
  buffer_release(&ticket->memory);
  *ticket = (struct flight_ticket){.memory = BUFFER_EMPTY};
  return error_set(
      error, STATUS_INVALID,
      "the ticket is none of this server's (a ticket ends with the server that gave it "
      "out); ask for a FlightInfo, or write the request as JSON: {\"sql\": ...} or "
      "{\"table\": ...}");
}

/* ---- cancelled ones ------------------------------------------------------------------------------- */

enum status flight_ticket_cancel(struct flight_key *key, const struct flight_ticket *ticket,
                                 struct error *error) {
  enum status status = STATUS_OK;
  struct cancelled one = {.expires_ms = ticket->expires_ms};
  id_bytes(ticket->id, one.id);
  pthread_mutex_lock(&key->lock);
  if (key->cancelled == NULL)
    key->cancelled = calloc(FLIGHT_CANCELLED_MAX, sizeof key->cancelled[0]);
  if (key->cancelled != NULL) {
    key->cancelled[key->cancelled_next] = one;
    key->cancelled_next = (key->cancelled_next + 1) % FLIGHT_CANCELLED_MAX;
    if (key->cancelled_count < FLIGHT_CANCELLED_MAX) key->cancelled_count++;
  } else {
    status = error_set(error, STATUS_NOMEM, "no memory to cancel a ticket");
  }
  pthread_mutex_unlock(&key->lock);
  return status;
}

bool flight_ticket_cancelled(struct flight_key *key, const struct flight_ticket *ticket) {
  uint8_t id[ID_BYTES];
  id_bytes(ticket->id, id);
  bool found = false;
  pthread_mutex_lock(&key->lock);
  for (size_t i = 0; i < key->cancelled_count && !found; i++)
    found = memcmp(key->cancelled[i].id, id, ID_BYTES) == 0;
  pthread_mutex_unlock(&key->lock);
  return found;
}

/* ---- of an ask ---------------------------------------------------------------------------------------- */

int64_t flight_expires_ms(const struct flight_ask *ask) {
  return wall_ms() + ask->config->flight.ticket_ms;
}

enum status flight_seal(struct flight_ask *ask, const void *command, size_t command_bytes,
                        bool shared, int64_t *expires_ms, struct buffer *ticket,
                        struct error *error) {
  struct flight_ticket made = {
      .expires_ms = flight_expires_ms(ask),
      .who = ask->who->name,
      .command = command,
      .command_bytes = command_bytes,
  };
  const char *id = NULL;
  *ticket = BUFFER_EMPTY;
  enum status status = flight_ask_seal_id(ask, &id, error);
  if (status != STATUS_OK) return status;
  memcpy(made.id, id, FLIGHT_ID_BYTES);
  if (!shared) flight_session_mark(ask->session, made.mark);
  *expires_ms = made.expires_ms;
  return flight_ticket_seal(ask->server->flight->key, &made, ticket, error);
}

enum status flight_unseal(struct flight_ask *ask, const void *sealed, size_t bytes,
                          struct flight_ticket *ticket, struct error *error) {
  static const uint8_t nobody[FLIGHT_MARK_BYTES];
  struct flight_key *key = ask->server->flight->key;
  uint8_t mark[FLIGHT_MARK_BYTES];
  enum status status = flight_ticket_open(key, sealed, bytes, ticket, error);
  if (status != STATUS_OK) return status;
  flight_session_mark(ask->session, mark);
  bool other = memcmp(ticket->mark, nobody, sizeof nobody) != 0 &&
               memcmp(ticket->mark, mark, sizeof mark) != 0;
  if (strcmp(ticket->who, ask->who->name) != 0)
    return error_set(error, STATUS_DENIED, "the ticket was given to somebody else than %s",
                     ask->who->name);
  if (other)
    return error_set(error, STATUS_DENIED,
                     "the ticket belongs to another session; send that one's cookie");
  if (ticket->expires_ms <= wall_ms())
    return error_set(error, STATUS_NOT_FOUND,
                     "the ticket has expired (flight.ticket_s); ask for its FlightInfo again");
  if (flight_ticket_cancelled(key, ticket))
    return error_set(error, STATUS_CANCELLED, "the ticket was cancelled (CancelFlightInfo)");
  return STATUS_OK;
}
