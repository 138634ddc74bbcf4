/* append.h: a batch of messages for one file, written by a thread of the pool. */
#ifndef FILE_APPEND_H
#define FILE_APPEND_H

#include "../common/queue.h"
#include "file.h"

struct sheet {
    struct place place; /* a.self: the settings */
    struct file_name name;
};

extern const struct queue_ops append_ops;

#endif
