/* Real sockets: the test is the service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"

static int manager_open(char name[108]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (name[0] == '\0') {
    char folder[] = "/tmp/arrowport-notify-XXXXXX";
    assert_non_null(mkdtemp(folder));
    snprintf(name, 108, "%s/socket", folder);
  }
  memcpy(address.sun_path, name, strlen(name));
  socklen_t bytes = sizeof address;
  if (name[0] == '@') {
    address.sun_path[0] = '\0';
    bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
  }
  int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_true(manager >= 0);
  assert_int_equal(bind(manager, (struct sockaddr *)&address, bytes), 0);
  setenv("NOTIFY_SOCKET", name, 1);
  return manager;
}

static void manager_close(int manager, const char *name) {
  close(manager);
  if (name[0] != '/') return;
  unlink(name);
  char folder[108];
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(name, '/') - name), name);
  rmdir(folder);
}

/* The next datagram; "" when there is none. */
static const char *heard(int manager) {
  static char said[1024];
  ssize_t bytes = recv(manager, said, sizeof said - 1, MSG_DONTWAIT);
  said[bytes > 0 ? bytes : 0] = '\0';
  return said;
}

static void the_manager_hears_every_state(void **state) {
  (void)state;
  char abstract[108];
  snprintf(abstract, sizeof abstract, "@arrowport-test-%ld", (long)getpid());
  char path[108] = "";
  for (int i = 0; i < 2; i++) {
    char *name = i == 0 ? path : abstract;
    int manager = manager_open(name);
    struct notify notify;
    assert_int_equal(notify_open(&notify, NULL), STATUS_OK);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_int_equal(notify.watchdog_ms, 0);
    assert_true(fcntl(notify.socket, F_GETFD) & FD_CLOEXEC);

    notify_ready(&notify);
    assert_string_equal(heard(manager), "READY=1");
    notify_status(&notify, "%d requests\nMAINPID=1", 3);
    assert_string_equal(heard(manager), "STATUS=3 requests MAINPID=1");
    notify_watchdog(&notify);
    assert_string_equal(heard(manager), "WATCHDOG=1");
    int64_t before_us = clock_now_us();
    notify_reloading(&notify);
    long long told_us = 0;
    assert_int_equal(sscanf(heard(manager), "RELOADING=1\nMONOTONIC_USEC=%lld", &told_us), 1);
    assert_true(told_us >= before_us && told_us <= clock_now_us());
    notify_stopping(&notify);
    assert_string_equal(heard(manager), "STOPPING=1");
    assert_string_equal(heard(manager), "");
    notify_close(&notify);
    notify_ready(&notify); /* to nobody */
    manager_close(manager, name);
  }
}

static void a_status_that_is_too_long_is_cut(void **state) {
  (void)state;
  char path[108] = "";
  int manager = manager_open(path);
  struct notify notify;
  assert_int_equal(notify_open(&notify, NULL), STATUS_OK);
  char longest[2000];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  notify_status(&notify, "%s", longest);
  assert_int_equal(strlen(heard(manager)), 511);
  notify_close(&notify);
  manager_close(manager, path);
}

static void without_a_manager_nothing_is_said(void **state) {
  (void)state;
  unsetenv("NOTIFY_SOCKET");
  struct notify notify;
  assert_int_equal(notify_open(&notify, NULL), STATUS_OK);
  assert_int_equal(notify.socket, -1);
  notify_ready(&notify);
  notify_status(&notify, "fine");
  notify_close(&notify);
}

static void a_manager_that_does_not_read_or_is_gone_stops_nobody(void **state) {
  (void)state;
  char path[108] = "";
  int manager = manager_open(path);
  struct notify notify;
  assert_int_equal(notify_open(&notify, NULL), STATUS_OK);
  int64_t began_ms = clock_now_ms();
  for (int i = 0; i < 10000; i++) notify_watchdog(&notify); /* its queue is full soon */
  notify_status(&notify, "busy");
  assert_true(clock_now_ms() - began_ms < 10000);
  notify_ready(&notify); /* a second, then a line in the log */
  assert_true(clock_now_ms() - began_ms < 20000);
  manager_close(manager, path);
  notify_stopping(&notify);
  notify_watchdog(&notify);
  notify_close(&notify);
}

static void a_name_that_is_no_sockets_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum status status;
  } cases[] = {{"relative", STATUS_UNSUPPORTED},
               {"vsock:2:1234", STATUS_UNSUPPORTED},
               {"/", STATUS_INVALID},
               {"@", STATUS_INVALID},
               {NULL, STATUS_INVALID}};
  char longest[200];
  memset(longest, '/', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    setenv("NOTIFY_SOCKET", cases[i].name == NULL ? longest : cases[i].name, 1);
    struct notify notify;
    struct error error;
    assert_int_equal(notify_open(&notify, &error), cases[i].status);
    assert_non_null(strstr(error.text, "NOTIFY_SOCKET"));
    assert_int_equal(notify.socket, -1);
    assert_null(getenv("NOTIFY_SOCKET"));
  }
}

static void the_watchdog_is_fed_twice_as_often_as_it_asks(void **state) {
  (void)state;
  char own[24];
  snprintf(own, sizeof own, "%ld", (long)getpid());
  const struct {
    const char *time, *process;
    enum status status;
    int64_t watchdog_ms;
  } cases[] = {
      {"30000000", NULL, STATUS_OK, 15000},
      {"30000000", own, STATUS_OK, 15000},
      {"30000000", "1", STATUS_OK, 0},
      {"1", own, STATUS_OK, 1},
      {"0", NULL, STATUS_INVALID, 0},
      {"", NULL, STATUS_INVALID, 0},
      {"1s", NULL, STATUS_INVALID, 0},
      {"-1", NULL, STATUS_INVALID, 0},
      {"30000000", "me", STATUS_INVALID, 0},
      {"99999999999999999999", NULL, STATUS_INVALID, 0},
      {NULL, own, STATUS_OK, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    setenv("NOTIFY_SOCKET", "/nobody/there", 1);
    if (cases[i].time != NULL) setenv("WATCHDOG_USEC", cases[i].time, 1);
    if (cases[i].process != NULL) setenv("WATCHDOG_PID", cases[i].process, 1);
    struct notify notify;
    assert_int_equal(notify_open(&notify, NULL), cases[i].status);
    assert_int_equal(notify.watchdog_ms, cases[i].watchdog_ms);
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    notify_close(&notify);
  }
}

/* ---- sockets -------------------------------------------------------------------------------- */

enum handed { TCP, TCP6, TCP_NOT_LISTENING, UDP, UNIX_STREAM, A_FILE, NOTHING };

static int make_handed(enum handed what) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = -1;
  switch (what) {
  case TCP:
  case TCP_NOT_LISTENING:
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    if (what == TCP) assert_int_equal(listen(fd, 1), 0);
    break;
  case TCP6:
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    /* A machine without IPv6 listens on no address of it: any will do. */
    if (bind(fd, (struct sockaddr *)&any6, sizeof any6) != 0) {
      close(fd);
      return make_handed(TCP);
    }
    assert_int_equal(listen(fd, 1), 0);
    break;
  case UDP: fd = socket(AF_INET, SOCK_DGRAM, 0); break;
  case UNIX_STREAM: {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 1), 0);
    break;
  }
  case A_FILE: fd = open("/dev/null", O_RDONLY); break;
  case NOTHING: break;
  }
  return fd;
}

/* Descriptor 3 may be somebody's: it is put aside. */
static void with_descriptor_3(enum handed what, const char *count, const char *process,
                              enum status want, bool taken, const char *word) {
  int aside = fcntl(3, F_DUPFD_CLOEXEC, 10);
  close(3);
  int made = make_handed(what);
  if (made >= 0 && made != 3) {
    assert_int_equal(dup2(made, 3), 3);
    close(made);
  }
  setenv("LISTEN_FDS", count, 1);
  setenv("LISTEN_PID", process, 1);
  setenv("LISTEN_FDNAMES", "http", 1);
  int fd = 99;
  struct error error = {.text = ""};
  assert_int_equal(notify_listen_fd(&fd, &error), want);
  assert_int_equal(fd, taken ? 3 : -1);
  if (taken) assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
  assert_non_null(strstr(error.text, word));
  assert_null(getenv("LISTEN_FDS"));
  assert_null(getenv("LISTEN_PID"));
  assert_null(getenv("LISTEN_FDNAMES"));
  if (made >= 0) close(3);
  if (aside >= 0) {
    dup2(aside, 3);
    close(aside);
  }
}

static void only_a_tcp_socket_that_listens_is_taken(void **state) {
  (void)state;
  char own[24];
  snprintf(own, sizeof own, "%ld", (long)getpid());
  const struct {
    enum handed what;
    const char *count, *process;
    enum status status;
    bool taken;
    const char *word;
  } cases[] = {
      {TCP, "1", own, STATUS_OK, true, ""},
      {TCP6, "1", own, STATUS_OK, true, ""},
      {TCP, "0", own, STATUS_OK, false, ""},
      {TCP, "1", "1", STATUS_OK, false, ""},
      {TCP, "2", own, STATUS_INVALID, false, "2 sockets"},
      {TCP, "one", own, STATUS_INVALID, false, "LISTEN_FDS"},
      {TCP, "-1", own, STATUS_INVALID, false, "LISTEN_FDS"},
      {TCP, "99999999999999999999", own, STATUS_INVALID, false, "LISTEN_FDS"},
      {TCP, "1", "", STATUS_INVALID, false, "LISTEN_PID"},
      {TCP_NOT_LISTENING, "1", own, STATUS_INVALID, false, "listens"},
      {UDP, "1", own, STATUS_INVALID, false, "listens"},
      {UNIX_STREAM, "1", own, STATUS_INVALID, false, "listens"},
      {A_FILE, "1", own, STATUS_INVALID, false, "no socket"},
      {NOTHING, "1", own, STATUS_INVALID, false, "no socket"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    with_descriptor_3(cases[i].what, cases[i].count, cases[i].process, cases[i].status,
                      cases[i].taken, cases[i].word);
}

static void without_variables_there_is_no_socket(void **state) {
  (void)state;
  int fd = 99;
  assert_int_equal(notify_listen_fd(&fd, NULL), STATUS_OK);
  assert_int_equal(fd, -1);
}

int main(void) {
  log_level_set(LOG_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_manager_hears_every_state),
      cmocka_unit_test(a_status_that_is_too_long_is_cut),
      cmocka_unit_test(without_a_manager_nothing_is_said),
      cmocka_unit_test(a_manager_that_does_not_read_or_is_gone_stops_nobody),
      cmocka_unit_test(a_name_that_is_no_sockets_is_refused),
      cmocka_unit_test(the_watchdog_is_fed_twice_as_often_as_it_asks),
      cmocka_unit_test(only_a_tcp_socket_that_listens_is_taken),
      cmocka_unit_test(without_variables_there_is_no_socket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
