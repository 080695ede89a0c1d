#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/flight.h"

static struct flight_key *key_of(void) {
  struct flight_key *key = NULL;
  assert_int_equal(flight_key_new(&key, NULL), STATUS_OK);
  return key;
}

static struct flight_ticket ticket_of(const char *who, const void *command, size_t bytes) {
  struct flight_ticket ticket = {
      .expires_ms = 1234567890123, .who = who, .command = command, .command_bytes = bytes};
  memset(ticket.mark, 7, sizeof ticket.mark);
  assert_int_equal(flight_id_make(ticket.id, NULL), STATUS_OK);
  return ticket;
}

static void what_is_sealed_opens_as_it_was(void **state) {
  (void)state;
  static const struct {
    const char *who, *command;
    size_t bytes;
  } rows[] = {{"user:anna", "select", 6}, {"local", "", 0}, {"", "x\0y", 3}};
  struct flight_key *key = key_of();
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct flight_ticket made = ticket_of(rows[i].who, rows[i].command, rows[i].bytes), got;
    struct buffer sealed = BUFFER_EMPTY;
    assert_int_equal(flight_ticket_seal(key, &made, &sealed, NULL), STATUS_OK);
    assert_int_equal(flight_ticket_open(key, sealed.data, (size_t)sealed.size_bytes, &got, NULL),
                     STATUS_OK);
    assert_string_equal(got.who, rows[i].who);
    assert_string_equal(got.id, made.id);
    assert_int_equal(got.expires_ms, made.expires_ms);
    assert_memory_equal(got.mark, made.mark, sizeof got.mark);
    assert_int_equal(got.command_bytes, rows[i].bytes);
    assert_memory_equal(got.command, rows[i].command, rows[i].bytes);
    buffer_release(&got.memory);
    buffer_release(&sealed);
  }
  flight_key_free(key);
}

static void no_byte_can_be_changed_and_none_left_out(void **state) {
  (void)state;
  struct flight_key *key = key_of();
  struct flight_ticket made = ticket_of("user:anna", "select 42", 9), got;
  struct buffer sealed = BUFFER_EMPTY;
  assert_int_equal(flight_ticket_seal(key, &made, &sealed, NULL), STATUS_OK);
  size_t bytes = (size_t)sealed.size_bytes;
  for (size_t i = 0; i < bytes; i++) {
    sealed.data[i] ^= 0x20;
    assert_int_equal(flight_ticket_open(key, sealed.data, bytes, &got, NULL), STATUS_INVALID);
    assert_int_equal(got.memory.size_bytes, 0);
    sealed.data[i] ^= 0x20;
    assert_int_equal(flight_ticket_open(key, sealed.data, i, &got, NULL), STATUS_INVALID);
  }
  buffer_release(&sealed);
  flight_key_free(key);
}

static void another_key_opens_nothing_and_nothing_shows(void **state) {
  (void)state;
  struct flight_key *mine = key_of(), *other = key_of();
  struct flight_ticket made = ticket_of("user:anna", "select secret", 13), got;
  struct buffer sealed = BUFFER_EMPTY, again = BUFFER_EMPTY;
  assert_int_equal(flight_ticket_seal(mine, &made, &sealed, NULL), STATUS_OK);
  assert_int_equal(flight_ticket_seal(mine, &made, &again, NULL), STATUS_OK);
  size_t bytes = (size_t)sealed.size_bytes;
  assert_int_equal(flight_ticket_open(other, sealed.data, bytes, &got, NULL), STATUS_INVALID);
  assert_null(memmem(sealed.data, bytes, "secret", 6));
  assert_null(memmem(sealed.data, bytes, "anna", 4));
  /* One ticket does not tell that it says what another one says. */
  assert_int_equal(again.size_bytes, sealed.size_bytes);
  assert_memory_not_equal(again.data + 13, sealed.data + 13, bytes - 13);
  buffer_release(&sealed);
  buffer_release(&again);
  flight_key_free(mine);
  flight_key_free(other);
}

static void too_long_a_command_is_refused(void **state) {
  (void)state;
  struct flight_key *key = key_of();
  size_t bytes = (16 << 20) + 1;
  char *command = calloc(1, bytes);
  assert_non_null(command);
  struct flight_ticket made = ticket_of("local", command, bytes);
  struct buffer sealed = BUFFER_EMPTY;
  assert_int_equal(flight_ticket_seal(key, &made, &sealed, NULL), STATUS_TOO_LARGE);
  assert_int_equal(sealed.size_bytes, 0);
  free(command);
  flight_key_free(key);
}

static void cancelled_ids_are_remembered_so_many(void **state) {
  (void)state;
  struct flight_key *key = key_of();
  struct flight_ticket first = ticket_of("local", "", 0), later = first;
  assert_false(flight_ticket_cancelled(key, &first));
  assert_int_equal(flight_ticket_cancel(key, &first, NULL), STATUS_OK);
  assert_true(flight_ticket_cancelled(key, &first));
  for (int i = 1; i < FLIGHT_CANCELLED_MAX; i++) {
    assert_int_equal(flight_id_make(later.id, NULL), STATUS_OK);
    assert_false(flight_ticket_cancelled(key, &later));
    assert_int_equal(flight_ticket_cancel(key, &later, NULL), STATUS_OK);
  }
  assert_true(flight_ticket_cancelled(key, &first));
  assert_true(flight_ticket_cancelled(key, &later));
  assert_int_equal(flight_id_make(later.id, NULL), STATUS_OK);
  assert_int_equal(flight_ticket_cancel(key, &later, NULL), STATUS_OK);
  assert_false(flight_ticket_cancelled(key, &first)); /* it made room */
  flight_key_free(key);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_sealed_opens_as_it_was),
      cmocka_unit_test(no_byte_can_be_changed_and_none_left_out),
      cmocka_unit_test(another_key_opens_nothing_and_nothing_shows),
      cmocka_unit_test(too_long_a_command_is_refused),
      cmocka_unit_test(cancelled_ids_are_remembered_so_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
