/* Who holds the file is what the system says of its lock; who answers at the server's address is
 * asked of that address, and has to be the same process: another server there has another
 * database, and what was meant for this one must not land in it. That one process listens on the
 * port is read in /proc, which needs no word of the server's about its files. */
#include "cli/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

enum { PATH_BYTES = 64, LINE_BYTES = 512, SOCKETS_MAX = 64, LISTENING = 0x0A };

static pid_t lock_holder(const char *path) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return 0;
  bool known = fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  close(file);
  return known ? lock.l_pid : 0;
}

/* The port of "http://host:port/..."; 0: none can be read. */
static unsigned port_of(const char *url) {
  const char *host = strstr(url, "://");
  if (host == NULL) return 0;
  host += 3;
  size_t bytes = strcspn(host, "/?#");
  const char *colon = NULL;
  for (size_t i = 0; i < bytes; i++) {
    if (host[i] == ':') colon = host + i;
    if (host[i] == ']') colon = NULL; /* those before it are of an IPv6 address */
  }
  if (colon == NULL) return strncmp(url, "https", 5) == 0 ? 443 : 80;
  unsigned long port = strtoul(colon + 1, NULL, 10);
  return port < 65536 ? (unsigned)port : 0;
}

/* The field of that number, from 0; "" when there are fewer. */
static const char *field_of(const char *line, int number) {
  line += strspn(line, " ");
  for (int i = 0; i < number; i++) {
    line += strcspn(line, " ");
    line += strspn(line, " ");
  }
  return line;
}

/* The inodes of sockets that listen on the port, of whatever process. */
static size_t listening_on(unsigned port, uint64_t sockets[SOCKETS_MAX]) {
  static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
  char line[LINE_BYTES];
  size_t count = 0;
  for (size_t i = 0; i < 2; i++) {
    FILE *table = fopen(tables[i], "re");
    while (table != NULL && count < SOCKETS_MAX && fgets(line, sizeof line, table) != NULL) {
      /* "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode" */
      const char *local = strchr(field_of(line, 1), ':');
      if (local == NULL || strtoul(local + 1, NULL, 16) != port) continue;
      if (strtoul(field_of(line, 3), NULL, 16) != LISTENING) continue;
      sockets[count++] = strtoull(field_of(line, 9), NULL, 10);
    }
    if (table != NULL) fclose(table);
  }
  return count;
}

/* Whether one of the process's descriptors is one of the sockets. */
static bool has_socket(pid_t process, const uint64_t *sockets, size_t count) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "/proc/%ld/fd", (long)process);
  DIR *folder = opendir(path);
  bool has = false;
  struct dirent *entry;
  while (folder != NULL && !has && (entry = readdir(folder)) != NULL) {
    char target[PATH_BYTES];
    ssize_t bytes = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
    static const char KIND[] = "socket:[";
    if (bytes <= 0) continue;
    target[bytes] = '\0';
    if (strncmp(target, KIND, sizeof KIND - 1) != 0) continue;
    uint64_t inode = strtoull(target + sizeof KIND - 1, NULL, 10);
    for (size_t i = 0; i < count; i++) has = has || sockets[i] == inode;
  }
  if (folder != NULL) closedir(folder);
  return has;
}

static enum status ask_version(const struct cli *cli, const struct server_config *config,
                               struct error *error) {
  struct remote remote;
  struct text answer = TEXT_EMPTY;
  struct remote_request request = {
      .method = "GET", .path = "/version", .accept = "application/json"};
  enum status status = remote_open(cli, config, &remote, error);
  if (status != STATUS_OK) return status;
  status = remote_send(&remote, &request, &answer, error);
  /* One that wants to know who asks first is one, too: what follows will tell. */
  if (status == STATUS_UNAUTHENTICATED || status == STATUS_DENIED) status = STATUS_OK;
  remote_close(&remote);
  text_release(&answer);
  return status;
}

enum status holder_find(const struct cli *cli, const struct server_config *config, bool quiet,
                        struct error *error) {
  uint64_t sockets[SOCKETS_MAX];
  struct error why = {.status = STATUS_OK};
  struct error held = *error;
  pid_t process = lock_holder(config->db_path);
  size_t count = listening_on(port_of(config->url), sockets);
  if (ask_version(cli, config, &why) != STATUS_OK)
    return error_set(error, held.status, "%s; no server to go through: %.300s", held.text,
                     why.text);
  if (process <= 0 || !has_socket(process, sockets, count))
    return error_set(error, held.status,
                     "%s; the server at %.200s is not that process: if it is one that listens "
                     "elsewhere, name it with --url",
                     held.text, config->url);
  if (!quiet)
    fprintf(stderr, "arrowport: the server at %s holds '%s': going through it\n", config->url,
            config->db_path);
  error->status = STATUS_OK;
  return STATUS_OK;
}
