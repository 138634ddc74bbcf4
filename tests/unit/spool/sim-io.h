/* A file system in memory that remembers what was done to it, so that a test can ask what a crash
 * would have left at any point; and that fails when told to.
 *
 * Nothing is durable by itself: written bytes need fdatasync of the file, names need fsync of the
 * folder. At a crash each unsynced thing may be there or not, whatever the order, and the last
 * write may be torn at any byte. A rename is one thing, also from one folder to another.
 * Descriptors are real (memfd), so that content is read the usual way. */
#ifndef TESTS_SPOOL_SIM_IO_H
#define TESTS_SPOOL_SIM_IO_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/io.h"

#define SIM_FDS 4096

struct sim_file;
struct sim_op;
struct sim_name;

struct sim_faults {
    int      sync_passes;  /* so many fdatasync calls work before those that fail */
    int      sync_fails;   /* so many fdatasync calls fail; <0: all of them */
    int      write_fails;  /* so many pwritev calls fail with -EIO; <0: all of them */
    int      short_writes; /* 1: pwritev takes only some of what it is given */
    int      open_fails;   /* 1: no file can be made */
    int      link_fails;   /* 1: this file system knows one name for a file */
    uint64_t capacity;     /* bytes of the disk; 0: no limit */
    int      read_fails;   /* 1: reading below read_limit of read_name fails with -EIO */
    char     read_name[32];
    uint64_t read_from, read_to;
};

struct sim {
    struct spool_io   io;
    pthread_mutex_t   lock;
    struct sim_faults faults; /* change them under the lock: sim_set_faults */
    struct sim_file **files;
    size_t            files_n;
    struct sim_name  *names;   /* as a running process sees them */
    struct sim_name  *durable; /* as they stood when the log began */
    struct sim_op    *ops;     /* the log */
    size_t            ops_n, ops_cap;
    struct {
        struct sim_file *file;
        int              dir; /* 1: top, 2: content; 0: a file */
        int              locked;
    } fds[SIM_FDS];
    int      dirs_n; /* the next folder's number */
    uint32_t seed;
};

/* How much of what was not synced is there after a crash. */
enum sim_luck { SIM_NOTHING, SIM_EVERYTHING, SIM_CHANCE };

struct sim *sim_new(uint32_t seed);
void        sim_free(struct sim **sim);
size_t      sim_time(struct sim *sim); /* how many operations were logged */
/* The disk as a crash after `ops` operations leaves it; with SIM_CHANCE the next one may be half
 * done. */
struct sim *sim_crash(struct sim *sim, size_t ops, enum sim_luck luck, uint32_t seed);
void        sim_set_faults(struct sim *sim, const struct sim_faults *faults);

/* For tests that look at the disk or spoil it. folder: 1 "/sim", 2 "/sim/content", or: */
int    sim_folder(struct sim *sim, const char *path); /* -1: no such folder */
int    sim_exists(struct sim *sim, int folder, const char *name);
size_t sim_count(struct sim *sim, int folder, const char *suffix);
int    sim_fd(struct sim *sim, int folder, const char *name); /* borrowed; -1: no such file */
void   sim_remove(struct sim *sim, int folder, const char *name);
void   sim_add(struct sim *sim, int folder, const char *name, const void *data, size_t len);

uint32_t sim_random(uint32_t *seed);

#endif
