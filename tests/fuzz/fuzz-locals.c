/* Fuzz target: files of local domains, as routing.local_domains_files names them. */
#include <unistd.h>

#include "pieces.h"
#include "route/route.h"
#include "util/mem.h"

static const char base[] =
    "{\"server\":{\"hostname\":\"gw.example\"},"
    "\"transports\":{\"out\":{\"plugin\":\"x\"}},"
    "\"routing\":{\"local_transport\":\"out\",\"own_interfaces\":false,\"local_domains\":[],"
    "\"local_domains_files\":\"%s\",\"default\":{\"transport\":\"out\"}}}";

static struct config *load(const char *path)
{
    char dir[] = "/tmp/postern-fuzz-XXXXXX";
    struct config_errors errors = { 0 };
    struct config *cfg = NULL;
    char *file, *text = mem_printf(base, path);
    FILE *out;

    require(mkdtemp(dir) != NULL);
    file = mem_printf("%s/a.json", dir);
    out = fopen(file, "w");
    require(out && fputs(text, out) >= 0 && fclose(out) == 0);
    require(config_load(dir, NULL, &cfg, &errors) == 0 && errors.n == 0);
    unlink(file);
    rmdir(dir);
    free(file);
    free(text);
    return cfg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_file file;
    static struct config *cfg; /* libFuzzer never returns from main: it is found by the pointer */
    struct config_errors errors = { 0 };
    struct route_table *t = NULL;

    memory_file_fill(&file, data, size);
    if (!cfg)
        cfg = load(file.path);
    route_compile(cfg, &t, &errors);
    require((t != NULL) == (errors.n == 0)); /* refused with words, or taken */
    for (size_t i = 0; i < errors.n; i++)
        require(!strpbrk(errors.lines[i], "\n\r\033"));
    route_free(&t);
    config_errors_free(&errors);
    return 0;
}
