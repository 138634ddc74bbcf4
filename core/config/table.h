/* config/table.h: option tables as things of their own: read, vetted, shown.
 *
 * A table may have been compiled by somebody else against another minor version of the ABI, so rows
 * are never indexed as an array: config_row steps through them by the author's row size. */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include "config/config.h"
#include "util/buf.h"

#define CONFIG_TABLE_ROWS_MAX  256u  /* of one table                                        */
#define CONFIG_TABLE_DEPTH_MAX 8u    /* tables inside tables; ends one that holds itself    */
#define CONFIG_KEY_MAX         64u   /* characters of a key                                 */
#define CONFIG_STEP_MAX        4096u /* bytes of one row                                    */
#define CONFIG_NAME_MAX        64u   /* characters of an instance's or plugin's name        */

/* Flags of our own tables: what a schema may know of a row. */
#define CONFIG_OPT_DURATIONS (1u << 28) /* STRINGS: each is a duration                     */
#define CONFIG_OPT_HOURS     (1u << 29) /* STRINGS: each is like "22:00-06:00"              */
#define CONFIG_OPT_ACTION    (1u << 30) /* STRING, BOOL: of these rows exactly one is said */

/* Copies row i as far as both sides know it; what the author did not know is 0. Returns 1, or 0
 * past the end. */
int config_row(const struct postern_option *table, size_t step, size_t i,
               struct postern_option *ret);

/* "number", "list of texts", ...; NULL for a type we do not know. */
const char *config_type_name(uint32_t type);

/* "1 to 65535", "at least 1s", "1K to 1G"; "" without bounds. size >= 80. Returns buf. */
char *config_range(const struct postern_option *row, char *buf, size_t size);

/* "number; 1 to 65535; default 25; required", added to out. */
void config_row_facts(const struct postern_option *row, struct buf *out);

/* Is the table sound, so that config_fill cannot go astray with it? settings_size: of the struct it
 * fills; SIZE_MAX: not known. 0, or -EINVAL with a sentence in why. */
int config_table_vet(const struct postern_option *table, size_t step, size_t settings_size,
                     char *why, size_t why_size);

/* For people: a Markdown table; and lines of text, each indented, for a terminal. */
void config_table_markdown(const struct postern_option *table, size_t step, struct buf *out);
void config_table_text(const struct postern_option *table, size_t step, struct buf *out);

/* Any text as a JSON string; bytes that are not UTF-8 are replaced. New reference. */
json_t *config_text_json(const char *text);

/* Copies text, with what stands between "<!-- options: SECTION -->" and "<!-- end of options -->"
 * lines made anew from the tables. 0, or -EINVAL with a sentence in why. */
int config_markdown_refresh(const char *text, struct buf *out, char *why, size_t why_size);

/* Where else a misplaced key may belong: tables beside config_sections. A NULL pointer ends. */
struct config_hint {
    const char                  *pointer; /* "/ingress/smtp-in" */
    const struct postern_option *table;
    size_t                       step;
};
/* config_fill, with more places to look for a misplaced key. hints may be NULL. */
int config_fill_hinted(struct arena *a, const struct postern_option *table, size_t step,
                       json_t *object, const struct config_origin *origin, const char *const *skip,
                       const struct config_hint *hints, void *settings,
                       struct config_errors *errors);

/* Lower case letters, digits and '-', 1 to CONFIG_NAME_MAX of them. */
int config_name_valid(const char *name);

/* Is `candidate` near enough to what was written to be worth a "did you mean"? 1 when it is, and
 * nearer than *best, which begins as SIZE_MAX and is brought up to date. */
int config_nearer(const char *written, const char *candidate, size_t *best);

#endif
