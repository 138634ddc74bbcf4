/* The parts of the list plugin, one by one: names, members, headers, notifications, the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../plugins/list/bounce.h"
#include "../../../plugins/list/head.h"
#include "../../../plugins/list/members.h"
#include "../../../plugins/list/state.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/postern-list-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* --- names --- */

static void find(const struct settings *set, const struct route_says *route, const char *rcpt,
                 const char *sender, struct place *ret)
{
    struct problem p = { 0 };

    if (place_find(set, route, rcpt, sender, ret, &p) < 0)
        fail_msg("%s: %s", rcpt, p.text);
}

static void T_91_a_list_has_an_owner_and_addresses_for_him(void **state)
{
    struct settings set = { .list = "Staff@Example.org", .owner = "boss" };
    struct route_says none = { 0 };
    struct place p;
    (void)state;

    find(&set, &none, "STAFF@example.org", "ann@c.example", &p);
    assert_int_equal(p.role, ROLE_POST);
    assert_string_equal(p.list, "staff@example.org");
    assert_string_equal(p.owner, "boss@example.org");
    assert_string_equal(p.bounces, "owner-staff@example.org");
    find(&set, &none, "owner-staff@example.org", "ann@c.example", &p);
    assert_int_equal(p.role, ROLE_OWNER);
    find(&set, &none, "Staff-Request@example.org", "ann@c.example", &p);
    assert_int_equal(p.role, ROLE_OWNER);
    find(&set, &none, "staff-owner@example.org", "", &p);
    assert_int_equal(p.role, ROLE_BOUNCE);
    assert_string_equal(p.member, "");
}

static void the_route_says_more_than_the_options(void **state)
{
    const char *roots[] = { "/srv/lists/" };
    struct settings set = { .list = "a@a.example", .owner = "x@a.example", .roots = { 1, roots } };
    struct route_says route = { "crew@b.example", "cap@b.example", "/srv/lists/crew" };
    struct problem problem;
    struct place p;
    (void)state;

    find(&set, &route, "all@b.example", "ann@c.example", &p);
    assert_int_equal(p.role, ROLE_POST);
    assert_string_equal(p.list, "crew@b.example");
    assert_string_equal(p.owner, "cap@b.example");
    assert_string_equal(p.file, "/srv/lists/crew");
    route.members = "/srv/lists/../passwd";
    assert_int_equal(place_find(&set, &route, "all@b.example", "", &p, &problem), -EPERM);
    assert_int_equal(problem.fate, POSTERN_DEFERRED);
    route.members = "/etc/passwd";
    assert_int_equal(place_find(&set, &route, "all@b.example", "", &p, &problem), -EPERM);
    route.members = "/srv/lists2/crew";
    assert_int_equal(place_find(&set, &route, "all@b.example", "", &p, &problem), -EPERM);
}

static void a_link_leads_no_further_than_the_roots(void **state)
{
    char inside[300];
    const char *roots[] = { inside };
    struct settings set = { .list = "a@a.example", .roots = { 1, roots } };
    struct route_says route = { NULL, NULL, NULL };
    struct problem problem;
    char within[300], out[300];
    struct place p;
    (void)state;

    snprintf(inside, sizeof inside, "%s", path_of("lists"));
    snprintf(within, sizeof within, "%s", path_of("lists/within"));
    snprintf(out, sizeof out, "%s", path_of("lists/out"));
    assert_int_equal(mkdir(inside, 0700), 0);
    put("secret", "ann@c.example\n");
    put("lists/crew", "ann@c.example\n");
    assert_int_equal(symlink("crew", within), 0);
    assert_int_equal(symlink("../secret", out), 0);
    route.members = within;
    find(&set, &route, "a@a.example", "ann@c.example", &p);
    assert_string_equal(p.file, within);
    route.members = out;
    assert_int_equal(place_find(&set, &route, "a@a.example", "x@x.example", &p, &problem), -EPERM);
    assert_int_equal(problem.fate, POSTERN_DEFERRED);
    assert_non_null(strstr(problem.text, "lists/out, where a link leads out of the roots"));
}

static void U_68_a_folder_has_a_file_for_each_list(void **state)
{
    struct settings set = { .members = folder };
    struct route_says none = { 0 };
    struct problem problem;
    struct place p;
    (void)state;

    put("SALES.DIS", "");
    put("crew.list", "");
    put("owner-club.list", "");
    find(&set, &none, "sales@b.example", "ann@c.example", &p);
    assert_string_equal(p.file, path_of("SALES.DIS"));
    find(&set, &none, "owner-club@b.example", "ann@c.example", &p);
    assert_int_equal(p.role, ROLE_POST);
    find(&set, &none, "owner-crew@b.example", "ann@c.example", &p);
    assert_int_equal(p.role, ROLE_OWNER);
    assert_string_equal(p.list, "crew@b.example");
    assert_string_equal(p.file, path_of("crew.list"));
    assert_int_equal(place_find(&set, &none, "nobody@b.example", "", &p, &problem), -ENOENT);
    assert_int_equal(problem.fate, POSTERN_FAILED);
    assert_int_equal(place_find(&set, &none, "\"../crew\"@b.example", "", &p, &problem), -ENOENT);
    assert_int_equal(place_find(&set, &none, "\".crew\"@b.example", "", &p, &problem), -ENOENT);
}

static void a_member_is_read_out_of_the_address_his_bounce_comes_to(void **state)
{
    static const struct {
        const char *extension, *member;
    } cases[] = {
        { "ann=c.example", "ann@c.example" },
        { "ann+news=c.example", "ann+news@c.example" },
        { "a=b=c.example", "a=b@c.example" },
        { "ann x=c.example", "\"ann x\"@c.example" },
        { "ann", "" },
        { "=c.example", "" },
        { "ann=", "" },
        { "ann=not a domain", "" },
    };
    char member[POSTERN_ADDRESS_MAX + 1];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        place_verp_decode(cases[i].extension, member, sizeof member);
        assert_string_equal(member, cases[i].member);
    }
}

/* --- members --- */

/* All of them, "!LINE" for one that cannot be read, with blanks between. */
static const char *read_all(const char *name)
{
    static char text[4096];
    struct members *m = malloc(sizeof *m);
    struct problem p;
    char one[POSTERN_ADDRESS_MAX + 1];
    size_t len = 0;
    int r;

    assert_non_null(m);
    text[0] = '\0';
    if (members_open(m, path_of(name), "here.example", &p) < 0)
        fail_msg("%s", p.text);
    while ((r = members_next(m, one, sizeof one)) != 0) {
        if (r == -EBADMSG)
            snprintf(one, sizeof one, "!%u", m->line);
        else
            assert_int_equal(r, 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? " " : "", one);
    }
    members_close(m);
    free(m);
    return text;
}

static void U_68_members_are_read_a_line_each(void **state)
{
    (void)state;
    put("a.DIS",
        "! a comment\nann@example.com\n\n  bob@example.org  \r\n<carol@example.net>\n"
        "jones\n<\"SUMNOD::BORIS\">\nuser1%far.example@mail.z.com\ndora@d.example");
    assert_string_equal(
        read_all("a.DIS"),
        "ann@example.com bob@example.org carol@example.net jones@here.example "
        "\"SUMNOD::BORIS\"@here.example user1%far.example@mail.z.com dora@d.example");
    put("a.list", "# a comment\n! another\nAnn Other <ann@example.com>, bob@example.org\n");
    assert_string_equal(read_all("a.list"), "ann@example.com bob@example.org");
    put("empty.list", "");
    assert_string_equal(read_all("empty.list"), "");
}

static void U_68_known_mistakes_are_mended(void **state)
{
    (void)state;
    put("m.dis",
        "SMTP%\"ann@example.com\"\nNODE::USER\nann@x.example, bob@x.example\n"
        "eve@x.example ! is new\n");
    assert_string_equal(read_all("m.dis"),
                        "ann@example.com \"NODE::USER\"@here.example ann@x.example bob@x.example "
                        "eve@x.example");
}

/* The same that alias files may be. */
static void files_of_other_systems_are_read(void **state)
{
    char text[MEMBERS_ROOM + 64];
    FILE *f;
    (void)state;

    put("o.list",
        "\xef\xbb\xbf"
        "ann@a.example\rbob@b.example\r\rbad one\r\ncarol@c.example");
    assert_string_equal(read_all("o.list"), "ann@a.example bob@b.example !4 carol@c.example");
    put("o.list", "M\xfcller <m\xfcller@a.example>\nj\xc3\xb6rg@b.example\n");
    assert_string_equal(read_all("o.list"), "m\xc3\xbcller@a.example j\xc3\xb6rg@b.example");
    f = fopen(path_of("o.list"), "w");
    assert_non_null(f);
    fwrite("ann@a.example\n\0\0\0", 1, 17, f);
    fclose(f);
    assert_string_equal(read_all("o.list"), "ann@a.example");
    /* The CR is the last byte that there is room for: its LF is not read yet. */
    for (size_t i = 0; i + 2 < MEMBERS_ROOM; i += 2)
        memcpy(text + i, "!\n", 2);
    strcpy(text + MEMBERS_ROOM - 2, "!\r\nbad one\n");
    put("o.list", text);
    assert_string_equal(read_all("o.list"), "!32769");
}

static void a_bad_line_is_passed_over_with_its_number(void **state)
{
    char long_one[20000], text[sizeof long_one + 64];
    FILE *f;
    (void)state;

    put("b.list", "ann@example.com\na b@example.com@\n@other.list\nbob@example.com\n");
    assert_string_equal(read_all("b.list"), "ann@example.com !2 !3 bob@example.com");
    put("b.list", "bad line here\nteam: ann@example.com\n <bob@example.com>, carol dora\n");
    assert_string_equal(read_all("b.list"), "!1 !2 bob@example.com !3");
    put("b.dis", "# x@example.com\nann@example.com\n");
    assert_string_equal(read_all("b.dis"), "!1 ann@example.com");
    memset(long_one, 'a', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    snprintf(text, sizeof text, "%s\nbob@example.com\n", long_one);
    put("b.list", text);
    assert_string_equal(read_all("b.list"), "!1 bob@example.com");
    f = fopen(path_of("b.list"), "w");
    assert_non_null(f);
    fwrite("ann\0x@example.com\nbob@example.com\n", 1, 34, f);
    fclose(f);
    assert_string_equal(read_all("b.list"), "!1 bob@example.com");
}

static void lines_longer_than_the_room_for_them_come_to_an_end(void **state)
{
    FILE *f;
    (void)state;

    f = fopen(path_of("huge.list"), "w");
    assert_non_null(f);
    for (size_t i = 0; i < 200000; i++)
        fputc('x', f);
    fputs("\nbob@example.com\n", f);
    fclose(f);
    assert_non_null(strstr(read_all("huge.list"), " bob@example.com"));
}

static void a_file_that_cannot_be_read_is_a_problem_in_words(void **state)
{
    struct members *m = malloc(sizeof *m);
    struct problem p;
    int fd;
    (void)state;

    assert_non_null(m);
    assert_int_equal(members_open(m, path_of("none"), "d", &p), -ENOENT);
    assert_int_equal(p.fate, POSTERN_DEFERRED);
    assert_non_null(strstr(p.text, "/none: No such file"));
    assert_int_equal(members_open(m, folder, "d", &p), -EINVAL);
    put("locked.list", "ann@example.com\n");
    fd = open(path_of("locked.list"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(members_open(m, path_of("locked.list"), "d", &p), -EWOULDBLOCK);
    assert_non_null(strstr(p.text, "locked by another program"));
    close(fd);
    free(m);
}

static void a_file_that_changes_while_it_is_read_is_noticed(void **state)
{
    struct members *m = malloc(sizeof *m);
    struct problem p;
    (void)state;

    assert_non_null(m);
    put("c.list", "ann@example.com\n");
    assert_int_equal(members_open(m, path_of("c.list"), "d", &p), 0);
    assert_true(members_same(m));
    put("c.list", "ann@example.com\nbob@example.com\n");
    assert_false(members_same(m));
    members_close(m);
    free(m);
}

/* --- headers --- */

static const struct place staff = { .list = "staff@example.org",
                                    .name = "staff",
                                    .domain = "example.org",
                                    .bounces = "owner-staff@example.org" };

static void expect_head(const struct settings *set, const char *in, const char *out)
{
    char *text;
    size_t len;

    assert_int_equal(head_write(set, &staff, in, strlen(in), &text, &len), 0);
    assert_int_equal(strlen(text), len);
    if (!strstr(text, out))
        fail_msg("found:\n%s\nexpected in it:\n%s", text, out);
    free(text);
}

static void the_header_says_which_list_it_was(void **state)
{
    struct settings set = { .description = "All of us",
                            .help = "mailto:{name}-request@{domain}?subject=help",
                            .archive_url = "https://example.org/{name}/",
                            .precedence = 1 };
    (void)state;

    expect_head(&set,
                "Received: x\r\nFrom: a@b\r\nList-Id: <other.example>\r\nPrecedence: bulk\r\n"
                "Subject: hello\r\n\r\nbody",
                "Received: x\r\nFrom: a@b\r\nSubject: hello\r\n"
                "List-Id: All of us <staff.example.org>\r\n"
                "List-Post: <mailto:staff@example.org>\r\n"
                "List-Help: <mailto:staff-request@example.org?subject=help>\r\n"
                "List-Owner: <mailto:owner-staff@example.org>\r\n"
                "List-Archive: <https://example.org/staff/>\r\n"
                "Precedence: list\r\n"
                "X-BeenThere: staff@example.org\r\n\r\n");
    /* Of each list that it went through, or a circle of three would never end. */
    expect_head(&set, "X-BeenThere: other@example.org\r\nFrom: a@b\r\n\r\n",
                "X-BeenThere: other@example.org\r\nFrom: a@b\r\nList-Id: ");
    set.policy = POLICY_OWNER;
    expect_head(&set, "From: a@b\r\n\r\n", "List-Post: NO\r\n");
}

static void the_subject_gets_its_prefix_once(void **state)
{
    struct settings set = { .subject_prefix = "[Staff]" };
    (void)state;

    expect_head(&set, "Subject: hello\r\n there\r\n\r\n", "Subject: [Staff] hello\r\n there\r\n");
    expect_head(&set, "Subject: Re: [staff] hello\r\n\r\n", "Subject: Re: [staff] hello\r\n");
    expect_head(&set, "From: a@b\r\n\r\n", "Subject: [Staff]\r\n");
}

static void replies_go_where_the_list_wants_them(void **state)
{
    struct settings set = { .reply_to = REPLY_LIST };
    (void)state;

    expect_head(&set, "From: a@b\r\nReply-To: c@d\r\n\r\n",
                "From: a@b\r\nReply-To: staff@example.org\r\n");
    set.reply_to = REPLY_BOTH;
    expect_head(&set, "From: Ann <a@b>\r\n\r\n", "Reply-To: Ann <a@b>,\r\n staff@example.org\r\n");
    expect_head(&set, "From: Ann <a@b>\r\nReply-To: c@d\r\n\r\n",
                "Reply-To: c@d,\r\n staff@example.org\r\n");
    set.reply_to = REPLY_SENDER;
    expect_head(&set, "From: a@b\r\nReply-To: c@d\r\n\r\n", "Reply-To: c@d\r\n");
}

static void fields_are_stripped_and_odd_headers_stay_whole(void **state)
{
    const char *names[] = { "X-Mailer" };
    struct settings set = { .strip = { 1, names } };
    (void)state;

    expect_head(&set, "From: a@b\r\nX-Mailer: x\r\n y\r\nTo: c@d\r\n\r\n",
                "From: a@b\r\nTo: c@d\r\nList-Id:");
    expect_head(&set, "Disposition-Notification-To: a@b\r\nTo: c@d", "To: c@d\r\nList-Id:");
    expect_head(&set, "To: c@d\r\nno field\r\n", "To: c@d\r\nList-Id: <staff.example.org>\r\n");
}

static void loops_and_machines_are_recognised(void **state)
{
    struct head h;
    const char *text = "Received: a\r\nReceived: b\r\nFrom: Ann <Ann@C.example>\r\n"
                       "List-ID: us\r\n <STAFF.example.org>\r\nSubject: x\r\n\r\nbody";
    (void)state;

    head_read(text, strlen(text), &staff, &h);
    assert_true(h.ours);
    assert_int_equal(h.received, 2);
    assert_string_equal(h.from, "Ann@C.example");
    assert_string_equal(h.subject, "x");
    assert_string_equal(text + h.body, "body");
    assert_null(h.automatic);
    text = "List-Id: <other.example.org>\r\nAuto-Submitted: no\r\nPrecedence: first-class\r\n\r\n";
    head_read(text, strlen(text), &staff, &h);
    assert_false(h.ours);
    assert_null(h.automatic);
    text = "X-BeenThere: other@example.org\r\nX-BeenThere: xstaff@example.org\r\n\r\n";
    head_read(text, strlen(text), &staff, &h);
    assert_false(h.ours);
    text = "X-BeenThere: other@example.org\r\nX-Beenthere:\r\n Staff@Example.org \r\n\r\n";
    head_read(text, strlen(text), &staff, &h);
    assert_true(h.ours);
    text = "Auto-Submitted: auto-replied (vacation)\r\n\r\n";
    head_read(text, strlen(text), &staff, &h);
    assert_string_equal(h.automatic, "Auto-Submitted");
    text = "Precedence: Bulk\r\n\r\n";
    head_read(text, strlen(text), &staff, &h);
    assert_string_equal(h.automatic, "Precedence");
    text = "Subject: no end";
    head_read(text, strlen(text), &staff, &h);
    assert_true(h.open);
}

/* --- notifications --- */

static void a_notification_says_who_was_not_reached(void **state)
{
    const char *text =
        "Subject: failure\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nsorry\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; gw.example\r\n\r\n"
        "Original-Recipient: rfc822; ann@c.example\r\nFinal-Recipient: rfc822; "
        "ann2@c.example\r\nAction: failed\r\nStatus: 5.1.1 (unknown)\r\n"
        "Diagnostic-Code: smtp; 550 no such user\r\n\r\n"
        "Final-Recipient: rfc822; bob@c.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n"
        "--x\r\nContent-Type: message/rfc822\r\n\r\nFinal-Recipient: rfc822; eve@c.example\r\n";
    struct bounce b[4];
    (void)state;

    assert_int_equal(bounce_read(text, strlen(text), b, 4), 2);
    assert_string_equal(b[0].member, "ann@c.example");
    assert_string_equal(b[0].status, "5.1.1");
    assert_string_equal(b[0].reason, "smtp; 550 no such user");
    assert_true(b[0].failed);
    assert_string_equal(b[1].member, "bob@c.example");
    assert_false(b[1].failed);
    assert_int_equal(bounce_read(text, strlen(text), b, 1), 1);
    assert_int_equal(bounce_read("Subject: hi\r\n\r\nno report\r\n", 26, b, 4), 0);
    /* Cut anywhere, it is read as far as it goes. */
    for (size_t n = 0; n < strlen(text); n++) {
        char *cut = malloc(n + 1);

        assert_non_null(cut);
        memcpy(cut, text, n);
        assert_true(bounce_read(cut, n, b, 4) <= 2);
        free(cut);
    }
}

/* --- the journal --- */

#define DAY 86400

static void bounces_are_counted_in_series(void **state)
{
    char path[LIST_PATH_MAX];
    const struct state_member *m;
    struct state s;
    (void)state;

    assert_int_equal(state_path(folder, "staff@example.org", path, sizeof path), 0);
    assert_int_equal(state_load(&s, path, 7 * DAY), 0);
    assert_int_equal(s.posts, 0);
    state_done(&s);
    state_note_post(path, "staff@example.org", "ID1", 12, "/srv/staff.list", 7 * DAY, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(state_note_bounce(path, "staff@example.org", "ann@c.example", "5.1.1",
                                           "no such user", 7 * DAY, 1000 + i * DAY),
                         0);
    assert_int_equal(state_load(&s, path, 7 * DAY), 0);
    assert_string_equal(s.list, "staff@example.org");
    assert_string_equal(s.id, "ID1");
    assert_string_equal(s.path, "/srv/staff.list");
    assert_int_equal(s.members, 12);
    m = state_find(&s, "ANN@c.example");
    assert_non_null(m);
    assert_int_equal(m->count, 3);
    assert_string_equal(m->reason, "no such user");
    assert_false(state_disabled(m, 4, 7 * DAY, 3 * DAY));
    assert_true(state_disabled(m, 3, 7 * DAY, 3 * DAY));
    assert_false(state_disabled(m, 3, 7 * DAY, 10 * DAY));
    assert_false(state_disabled(m, 0, 7 * DAY, 3 * DAY));
    state_done(&s);
    /* Much later it is another series. */
    state_note_bounce(path, "staff@example.org", "ann@c.example", "5.1.1", "x", 7 * DAY, 30 * DAY);
    assert_int_equal(state_load(&s, path, 7 * DAY), 0);
    assert_int_equal(state_find(&s, "ann@c.example")->count, 1);
    state_done(&s);
}

static void a_torn_or_senseless_line_hides_no_other(void **state)
{
    char path[LIST_PATH_MAX];
    struct state s;
    FILE *f;
    (void)state;

    assert_int_equal(state_path(folder, "torn@example.org", path, sizeof path), 0);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("list\ttorn@example.org\nbounce\t1\nnonsense\n\n"
          "bounce\t9\t-9223372036854775808\t9223372036854775807\t5.0.0\tmax@c.example\tx\n"
          "bounce\t1\t5\t5\t5.0.0\tbob@c.ex",
          f);
    fclose(f);
    assert_int_equal(
        state_note_bounce(path, "torn@example.org", "ann@c.example", "5.0.0", "a\tb", DAY, 10), 0);
    assert_int_equal(state_load(&s, path, DAY), 0);
    assert_int_equal(s.n, 2);
    assert_string_equal(state_find(&s, "ann@c.example")->reason, "a\tb");
    assert_non_null(state_find(&s, "max@c.example"));
    state_done(&s);
}

static void a_grown_journal_is_written_anew_and_stays_small(void **state)
{
    char path[LIST_PATH_MAX], member[64];
    struct stat st;
    struct state s;
    FILE *f;
    (void)state;

    assert_int_equal(state_path(folder, "big@example.org", path, sizeof path), 0);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("list\tbig@example.org\npost\t7\t5\tID\t3\t/srv/x\n", f);
    for (int i = 0; i < 20000; i++)
        fprintf(f, "bounce\t1\t%d\t%d\t5.1.1\tuser%d@c.example\tno such user here, sorry\n", i + 5,
                i + 5, i);
    fclose(f);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > (off_t)STATE_GROWN);
    assert_int_equal(
        state_note_bounce(path, "big@example.org", "last@c.example", "5.0.0", "x", 7 * DAY, 20010),
        0);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= (off_t)STATE_GROWN / 2 + 8192);
    assert_int_equal(state_load(&s, path, 7 * DAY), 0);
    assert_int_equal(s.posts, 7);
    assert_true(s.n <= STATE_MEMBERS_MAX && s.n > 1000);
    assert_non_null(state_find(&s, "last@c.example"));
    snprintf(member, sizeof member, "user%d@c.example", 10);
    assert_null(state_find(&s, member));
    state_done(&s);
    assert_int_not_equal(access(path_of("big@example.org.state.new"), F_OK), 0);
}

static void the_name_of_a_state_stays_in_its_folder(void **state)
{
    char path[256];
    (void)state;

    assert_int_equal(state_path("/s", "a/../b@example.org", path, sizeof path), 0);
    assert_string_equal(path, "/s/a%2F..%2Fb@example.org.state");
    assert_int_equal(state_path("/s", ".a@example.org", path, sizeof path), 0);
    assert_string_equal(path, "/s/%2Ea@example.org.state");
    assert_int_equal(state_path("/s", "staff@example.org", path, 20), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_91_a_list_has_an_owner_and_addresses_for_him),
        cmocka_unit_test(the_route_says_more_than_the_options),
        cmocka_unit_test(a_link_leads_no_further_than_the_roots),
        cmocka_unit_test(U_68_a_folder_has_a_file_for_each_list),
        cmocka_unit_test(a_member_is_read_out_of_the_address_his_bounce_comes_to),
        cmocka_unit_test(U_68_members_are_read_a_line_each),
        cmocka_unit_test(U_68_known_mistakes_are_mended),
        cmocka_unit_test(files_of_other_systems_are_read),
        cmocka_unit_test(a_bad_line_is_passed_over_with_its_number),
        cmocka_unit_test(lines_longer_than_the_room_for_them_come_to_an_end),
        cmocka_unit_test(a_file_that_cannot_be_read_is_a_problem_in_words),
        cmocka_unit_test(a_file_that_changes_while_it_is_read_is_noticed),
        cmocka_unit_test(the_header_says_which_list_it_was),
        cmocka_unit_test(the_subject_gets_its_prefix_once),
        cmocka_unit_test(replies_go_where_the_list_wants_them),
        cmocka_unit_test(fields_are_stripped_and_odd_headers_stay_whole),
        cmocka_unit_test(loops_and_machines_are_recognised),
        cmocka_unit_test(a_notification_says_who_was_not_reached),
        cmocka_unit_test(bounces_are_counted_in_series),
        cmocka_unit_test(a_torn_or_senseless_line_hides_no_other),
        cmocka_unit_test(a_grown_journal_is_written_anew_and_stays_small),
        cmocka_unit_test(the_name_of_a_state_stays_in_its_folder),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
