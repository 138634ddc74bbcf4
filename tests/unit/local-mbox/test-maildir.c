/* Delivery into real Maildirs: what is in them, quotas, and what a kill, a failure or a cancel
 * leaves: no message in part, and none that was given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../plugins/local-mbox/append.h"
#include "../../../plugins/local-mbox/quota.h"
#include "../box.h"

extern const struct postern_plugin local_mbox_LTX_postern_plugin;

static void box_open(struct box *b, const char *const *options)
{
    static const char *const fixed[] = { "users", "any", "format", "maildir", NULL };

    box_start(b, &local_mbox_LTX_postern_plugin, "path", fixed, options);
}

static void box_new(struct box *b, const char *const *options)
{
    box_make_folder(b);
    box_open(b, options);
}

/* How many files are in a folder; the name of one of them in *ret (may be NULL). -1: no folder. */
static int files(const struct box *b, const char *name, char ret[512])
{
    char path[512];
    const struct dirent *e;
    DIR *dir;
    int n = 0;

    snprintf(path, sizeof path, "%s/%s", b->folder, name);
    dir = opendir(path);
    if (!dir)
        return -1;
    while ((e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        if (ret)
            snprintf(ret, 512, "%.200s/%.255s", path, e->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

static postern_job *deliver(struct box *b, const char *rcpt, const char *content)
{
    const char *rcpts[] = { rcpt, NULL };
    struct fakehost_job job = {
        .id = "ID", .sender = "from@example.com", .rcpts = rcpts, .destination = "example.com"
    };

    job.content = content ? content : "Subject: x\r\n\r\nFrom here\r\n";
    job.content_len = strlen(job.content);
    return fakehost_deliver(b->h, &job, NULL);
}

static void expect(const postern_job *job, uint32_t fate, unsigned a, unsigned b, unsigned c)
{
    const struct postern_outcome *o = fakehost_outcome(job, 0);

    assert_non_null(o);
    if (o->fate != fate || o->status[0] != a || o->status[1] != b || o->status[2] != c)
        fail_msg("fate %u, %u.%u.%u %s", o->fate, o->status[0], o->status[1], o->status[2],
                 o->diagnostic);
}

static void delivered(struct box *b, const char *rcpt, const char *content)
{
    postern_job *job = deliver(b, rcpt, content);

    fakehost_run(b->h);
    expect(job, POSTERN_DELIVERED, 2, 0, 0);
}

static void a_message_becomes_a_file_with_its_size_in_the_name(void **state)
{
    char path[512], size[32];
    struct stat st;
    struct box b;
    (void)state;

    box_new(&b, NULL);
    delivered(&b, "Bob@example.com", NULL);
    assert_int_equal(files(&b, "bob/new", path), 1);
    assert_int_equal(files(&b, "bob/tmp", NULL), 0);
    assert_int_equal(files(&b, "bob/cur", NULL), 0);
    assert_string_equal(text_at(path),
                        "Return-Path: <from@example.com>\n"
                        "Delivered-To: Bob@example.com\n"
                        "Subject: x\n\nFrom here\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(size, sizeof size, ",S=%lld", (long long)st.st_size);
    assert_string_equal(strstr(path, ",S="), size);
    assert_non_null(strstr(path, ".gw.example,"));
    box_free(&b);
}

static void T_84_folders_are_those_of_maildir_plus_plus(void **state)
{
    static const char *const options[] = { "folders", "yes", NULL };
    postern_job *job;
    char path[512];
    struct box b;
    (void)state;

    box_new(&b, options);
    delivered(&b, "bob+lists@example.com", NULL);
    delivered(&b, "bob@example.com", NULL);
    delivered(&b, "bob+lists@example.com", NULL);
    assert_int_equal(files(&b, "bob/.LISTS/new", NULL), 2);
    assert_int_equal(files(&b, "bob/new", NULL), 1);
    snprintf(path, sizeof path, "%s/bob/.LISTS/maildirfolder", b.folder);
    assert_int_equal(access(path, F_OK), 0);
    job = deliver(&b, "\"bob+A,B\"@example.com", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_FAILED, 5, 1, 3);
    box_free(&b);
}

/* Recipients of one job in three mailboxes of one user and another's. */
static void one_job_may_go_to_many_folders(void **state)
{
    static const char *const options[] = { "folders", "yes", NULL };
    const char *rcpts[] = { "bob@x", "bob+A@x", "ann+A@x", "bob+B@x", "bob+a@x", NULL };
    struct fakehost_job job = { .id = "ID",
                                .sender = "",
                                .rcpts = rcpts,
                                .content = "\r\n",
                                .content_len = 2,
                                .destination = "x" };
    postern_job *j;
    struct box b;
    (void)state;

    box_new(&b, options);
    j = fakehost_deliver(b.h, &job, NULL);
    fakehost_run(b.h);
    assert_int_equal(fakehost_unsettled(j), 0);
    assert_int_equal(files(&b, "bob/new", NULL), 1);
    assert_int_equal(files(&b, "bob/.A/new", NULL), 2);
    assert_int_equal(files(&b, "bob/.B/new", NULL), 1);
    assert_int_equal(files(&b, "ann/.A/new", NULL), 1);
    box_free(&b);
}

static void links_and_files_in_the_way_are_not_followed(void **state)
{
    char path[128], target[128];
    postern_job *job;
    struct box b;
    (void)state;

    box_new(&b, NULL);
    snprintf(target, sizeof target, "%s/target", b.folder);
    mkdir(target, 0700);
    snprintf(path, sizeof path, "%s/bob", b.folder);
    assert_int_equal(symlink(target, path), 0);
    job = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_DEFERRED, 4, 3, 5);
    assert_int_equal(files(&b, "target", NULL), 0);
    unlink(path);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/bob/new", b.folder);
    assert_int_equal(symlink(target, path), 0);
    job = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_DEFERRED, 4, 3, 5);
    assert_int_equal(files(&b, "target", NULL), 0);
    box_free(&b);
}

static void T_79_a_full_maildir_defers_or_refuses_or_is_not_asked(void **state)
{
    static const char *const defer[] = { "max_messages", "2", "folders", "yes", NULL };
    static const char *const refuse[] = { "max_messages", "2", "full", "refuse", NULL };
    static const char *const ignore[] = { "max_messages", "2", "quota", "ignore", NULL };
    static const char *const bytes[] = { "max_size", "240", NULL };
    postern_job *job;
    struct box b;
    (void)state;

    box_new(&b, defer);
    delivered(&b, "bob@x", NULL);
    delivered(&b, "bob+A@x", NULL); /* the user's, wherever it lies */
    job = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_DEFERRED, 4, 2, 2);
    fakehost_close(&b.h);
    box_open(&b, refuse);
    job = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_FAILED, 5, 2, 2);
    fakehost_close(&b.h);
    box_open(&b, ignore);
    delivered(&b, "bob@x", NULL);
    fakehost_close(&b.h);
    box_open(&b, bytes);
    job = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_DEFERRED, 4, 2, 2);
    delivered(&b, "ann@x", NULL);
    box_free(&b);
}

/* Two that come in one batch count as well. */
static void a_batch_does_not_get_past_the_quota(void **state)
{
    static const char *const options[] = { "max_messages", "3", NULL };
    postern_job *jobs[5];
    size_t ok = 0;
    struct box b;
    (void)state;

    box_new(&b, options);
    for (size_t i = 0; i < 5; i++)
        jobs[i] = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    for (size_t i = 0; i < 5; i++)
        ok += fakehost_outcome(jobs[i], 0)->fate == POSTERN_DELIVERED;
    assert_int_equal(ok, 3);
    assert_int_equal(files(&b, "bob/new", NULL), 3);
    box_free(&b);
}

static void sizes_are_taken_from_names_and_counted_without(void **state)
{
    static const char *const names[] = { "new/1.x,S=100", "cur/2.x,S=50:2,S", "cur/3.x:2,",
                                         ".A/cur/4.x,S=7", NULL };
    struct quota q = { 0 };
    char path[256];
    struct box b;
    (void)state;

    box_new(&b, NULL);
    delivered(&b, "bob@x", NULL);
    snprintf(path, sizeof path, "rm -f %s/bob/new/*; mkdir -p %s/bob/.A/cur", b.folder, b.folder);
    assert_int_equal(system(path), 0);
    for (size_t i = 0; names[i]; i++) {
        FILE *f;

        snprintf(path, sizeof path, "%s/bob/%s", b.folder, names[i]);
        f = fopen(path, "w");
        assert_non_null(f);
        fputs("abc", f);
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/bob", b.folder);
    assert_int_equal(quota_of_maildir(path, &q), 0);
    assert_int_equal(q.messages, 4);
    assert_int_equal(q.bytes, 100 + 50 + 3 + 7);
    box_free(&b);
}

static void a_failure_leaves_nothing(void **state)
{
    postern_job *job;
    struct box b;
    (void)state;

    box_new(&b, NULL);
    fakehost_fail(b.h, FAKEHOST_CONTENT_READ, 1, -EIO);
    job = deliver(&b, "bob@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_DEFERRED, 4, 3, 0);
    assert_int_equal(files(&b, "bob/new", NULL), 0);
    assert_int_equal(files(&b, "bob/tmp", NULL), 0);
    job = deliver(&b, "bob@x", "Delivered-To: bob@x\r\n\r\n");
    fakehost_run(b.h);
    expect(job, POSTERN_FAILED, 5, 4, 6);
    assert_int_equal(files(&b, "bob/tmp", NULL), 0);
    box_free(&b);
}

/* --- homes --- */

static char home[128]; /* of the only user of this system, homer */
static uid_t homer;

/* Stands before the C library's. */
int getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t size, struct passwd **ret)
{
    (void)buf;
    (void)size;
    *ret = NULL;
    if (strcmp(name, "homer") != 0)
        return 0;
    *pw = (struct passwd){ .pw_uid = homer, .pw_gid = (gid_t)homer, .pw_dir = home };
    *ret = pw;
    return 0;
}

/* As root, homer is somebody else (1 is on every system, and we need but the number). */
static void make_home(struct box *b, const char *format, const char *mailbox)
{
    const char *options[] = { "users", "passwd", "format", format, "mailbox", mailbox, NULL };

    snprintf(b->folder, sizeof b->folder, "/tmp/postern-maildir-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    assert_int_equal(chmod(b->folder, 0755), 0);
    snprintf(home, sizeof home, "%s/home", b->folder);
    assert_int_equal(mkdir(home, 0700), 0);
    homer = geteuid() == 0 ? 1 : geteuid();
    assert_int_equal(chown(home, homer, geteuid() == 0 ? (gid_t)homer : getegid()), 0);
    box_open(b, options);
}

static void a_mailbox_at_home_is_its_user_s(void **state)
{
    char path[512];
    struct stat st;
    struct box b;
    (void)state;

    make_home(&b, "maildir", "~/post/Maildir");
    delivered(&b, "Homer@x", NULL);
    assert_int_equal(files(&b, "home/post/Maildir/new", path), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, homer);
    snprintf(path, sizeof path, "%s/post", home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, homer);
    box_free(&b);
    make_home(&b, "mbox", "~/post/mbox");
    delivered(&b, "homer@x", NULL);
    snprintf(path, sizeof path, "%s/post/mbox", home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, homer);
    assert_non_null(strstr(text_at(path), "\n>From here\n"));
    assert_int_equal(files(&b, "home/post", NULL), 1); /* no lock is left */
    box_free(&b);
}

/* Even root goes no further than the user could. */
static void a_link_of_the_user_s_leads_nowhere(void **state)
{
    static const char *const formats[] = { "maildir", "mbox" };
    char target[128], link[160];
    postern_job *job;
    struct box b;
    (void)state;

    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < 2; i++) {
        make_home(&b, formats[i], "~/post/box");
        snprintf(target, sizeof target, "%s/target", b.folder);
        assert_int_equal(mkdir(target, 0755), 0);
        snprintf(link, sizeof link, "%s/post", home);
        assert_int_equal(symlink(target, link), 0);
        job = deliver(&b, "homer@x", NULL);
        fakehost_run(b.h);
        expect(job, POSTERN_DEFERRED, 4, 3, 5);
        assert_int_equal(files(&b, "target", NULL), 0);
        box_free(&b);
    }
}

static void who_is_no_user_has_no_home(void **state)
{
    postern_job *job;
    struct box b;
    (void)state;

    make_home(&b, "maildir", "~/Maildir");
    job = deliver(&b, "marge@x", NULL);
    fakehost_run(b.h);
    expect(job, POSTERN_FAILED, 5, 1, 1);
    box_free(&b);
}

/* --- a kill, and a cancel, in the middle --- */

struct postern_content {
    const char *text;
    struct entry *victim; /* is cancelled when this is read */
    int kills;            /* is the process when this is read */
};

static int64_t read_content(const postern_content *c, uint64_t at, void *buf, size_t len)
{
    size_t have = strlen(c->text);

    if (c->victim)
        c->victim->d.cancelled = 1;
    if (c->kills)
        kill(getpid(), SIGKILL);
    if (at >= have)
        return 0;
    if (len > have - at)
        len = have - at;
    memcpy(buf, c->text + at, len);
    return (int64_t)len;
}

static void no_log(postern_host *host, int level, const char *event, const char *fmt, ...)
{
    (void)host;
    (void)level;
    (void)event;
    (void)fmt;
}

/* Runs a batch of these; what became of each is in its entry. */
static void run_batch(const char *folder, postern_content *contents, size_t n,
                      struct entry **entries)
{
    struct postern_services svc = { .size = sizeof svc,
                                    .content_read = read_content,
                                    .log = no_log };
    struct settings set = { .users = USERS_ANY, .format = FORMAT_MAILDIR, .path = folder };
    struct append append = { .set = &set, .hostname = "gw.example" };
    struct mailbox box = { .place = { .key = "bob" } };

    box.place.a = (struct queue_for){ .svc = &svc, .self = &append };
    TAILQ_INIT(&box.place.batch);
    pthread_mutex_init(&box.place.lock, NULL);
    for (size_t i = 0; i < n; i++) {
        struct entry *e = entries[i];

        e->d.place = &box.place;
        e->d.content = &contents[i];
        e->d.content_size = strlen(contents[i].text);
        e->d.sender = "from@x";
        e->d.rcpt = "bob@x";
        snprintf(e->whom.name, sizeof e->whom.name, "bob");
        TAILQ_INSERT_TAIL(&box.place.batch, &e->d, link);
    }
    assert_int_equal(append_ops.append(&box.place), 0);
    assert_int_equal(box.place.committed, 1);
    free(box.user);
    pthread_mutex_destroy(&box.place.lock);
}

static void who_is_cancelled_is_not_in_the_maildir(void **state)
{
    postern_content contents[3] = { { "one\r\n", NULL, 0 },
                                    { "two\r\n", NULL, 0 },
                                    { "three\r\n", NULL, 0 } };
    struct entry *e[3];
    char path[512];
    struct box b;
    (void)state;

    box_new(&b, NULL);
    for (size_t i = 0; i < 3; i++)
        e[i] = calloc(1, sizeof *e[i]);
    contents[2].victim = e[0]; /* which is in its place by then */
    contents[1].victim = e[1]; /* in the middle of its own */
    run_batch(b.folder, contents, 3, e);
    assert_int_equal(files(&b, "bob/new", path), 1);
    assert_non_null(strstr(text_at(path), "\nthree\n"));
    assert_int_equal(e[2]->d.problem.fate, POSTERN_DELIVERED);
    assert_int_equal(files(&b, "bob/tmp", NULL), 0);
    for (size_t i = 0; i < 3; i++)
        free(e[i]);
    box_free(&b);
}

static void a_kill_leaves_litter_in_tmp_which_goes_one_day(void **state)
{
    postern_content contents[2] = { { "one\r\n", NULL, 0 }, { "two\r\n", NULL, 1 } };
    struct timespec old[2];
    struct entry *e[2];
    char path[512];
    struct box b;
    pid_t pid;
    int status;
    (void)state;

    box_new(&b, NULL);
    delivered(&b, "bob@x", NULL);
    for (size_t i = 0; i < 2; i++)
        e[i] = calloc(1, sizeof *e[i]);
    pid = fork();
    if (!pid) {
        run_batch(b.folder, contents, 2, e);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(files(&b, "bob/tmp", path), 1);
    /* The first of the batch is there, though nobody was told: it will come twice, but whole. */
    assert_int_equal(files(&b, "bob/new", NULL), 2);
    delivered(&b, "bob@x", NULL); /* young litter may be somebody's who is at work */
    assert_int_equal(files(&b, "bob/tmp", path), 1);
    old[0].tv_sec = old[1].tv_sec = time(NULL) - 40 * 3600;
    old[0].tv_nsec = old[1].tv_nsec = 0;
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    delivered(&b, "bob@x", NULL);
    assert_int_equal(files(&b, "bob/tmp", NULL), 0);
    assert_int_equal(files(&b, "bob/new", NULL), 4);
    for (size_t i = 0; i < 2; i++)
        free(e[i]);
    box_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_becomes_a_file_with_its_size_in_the_name),
        cmocka_unit_test(T_84_folders_are_those_of_maildir_plus_plus),
        cmocka_unit_test(one_job_may_go_to_many_folders),
        cmocka_unit_test(links_and_files_in_the_way_are_not_followed),
        cmocka_unit_test(T_79_a_full_maildir_defers_or_refuses_or_is_not_asked),
        cmocka_unit_test(a_batch_does_not_get_past_the_quota),
        cmocka_unit_test(sizes_are_taken_from_names_and_counted_without),
        cmocka_unit_test(a_failure_leaves_nothing),
        cmocka_unit_test(a_mailbox_at_home_is_its_user_s),
        cmocka_unit_test(a_link_of_the_user_s_leads_nowhere),
        cmocka_unit_test(who_is_no_user_has_no_home),
        cmocka_unit_test(who_is_cancelled_is_not_in_the_maildir),
        cmocka_unit_test(a_kill_leaves_litter_in_tmp_which_goes_one_day),
    };

    return cmocka_run_group_tests_name("local-mbox/maildir", tests, NULL, NULL);
}
