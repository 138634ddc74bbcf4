/* A main() for fuzz targets that are built without libFuzzer: replays each file named on the
 * command line, and each file in the folders named there, then says how many it ran. An input that
 * crashed or hung once is kept in the corpus, so this is the regression test of every parser. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target that has nothing to set up does not define this one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long ran;

static int replay(const char *path);

static int replay_file(const char *path, size_t size)
{
    /* Exactly `size` bytes, so that a sanitizer sees a read past the end; malloc(0) may be NULL. */
    uint8_t *data = malloc(size ? size : 1);
    FILE *file = fopen(path, "rb");
    int r = -1;

    if (data && file && fread(data, 1, size, file) == size) {
        uint8_t *exact = size ? data : data + 1;

        (void)LLVMFuzzerTestOneInput(exact, size);
        ran++;
        r = 0;
    } else {
        fprintf(stderr, "%s: %s\n", path, strerror(errno ? errno : EIO));
    }
    if (file)
        fclose(file);
    free(data);
    return r;
}

static int replay_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    int r = 0;

    if (n < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char *below;

        /* Hidden files (.gitignore, say) are no inputs. */
        if (names[i]->d_name[0] != '.') {
            if (asprintf(&below, "%s/%s", path, names[i]->d_name) < 0)
                abort();
            if (replay(below) < 0)
                r = -1;
            free(below);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

static int replay(const char *path)
{
    struct stat st;

    errno = 0;
    if (stat(path, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    int r = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
        return 64; /* EX_USAGE */
    }
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        /* libFuzzer's own options mean nothing here. */
        if (argv[i][0] == '-')
            continue;
        if (replay(argv[i]) < 0)
            r = 1;
    }
    printf("%lu inputs replayed\n", ran);
    return r;
}
