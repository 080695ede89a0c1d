/* What the kernel counts of this process. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/metrics.h"

static int64_t resident_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "re");
  if (file == NULL) return -1;
  char line[128]; /* "size resident shared text lib data dt" */
  long long pages = -1;
  if (fgets(line, sizeof line, file) != NULL) {
    char *resident = NULL;
    (void)strtoll(line, &resident, 10);
    if (resident != line) pages = strtoll(resident, NULL, 10);
  }
  fclose(file);
  return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

static int64_t count_entries(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) return -1;
  int64_t entries = 0;
  for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
    entries += entry->d_name[0] != '.';
  closedir(folder);
  return entries;
}

static int64_t open_files(void) {
  struct stat folder;
  /* Since Linux 6.2 the folder's size is their count. */
  if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0) return folder.st_size;
  int64_t entries = count_entries("/proc/self/fd");
  return entries > 0 ? entries - 1 : entries; /* the one that reads the folder */
}

void metrics_process_read(struct metrics_process *process) {
  struct rlimit files;
  struct rusage usage;
  process->resident_bytes = resident_bytes();
  process->open_files = open_files();
  process->open_files_max = -1;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
    process->open_files_max = (int64_t)files.rlim_cur;
  process->threads = count_entries("/proc/self/task");
  process->cpu_us = -1;
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    process->cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                      usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}
