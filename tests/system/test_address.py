"""`postern address`: every form of an address, each step, and the page that shows them."""
import json
import os
import re
import shlex

import pytest

from harness.base import TOP

EX_USAGE, EX_DATAERR, EX_NOINPUT = 64, 65, 66
UCX = ["--host", "systm2.xyzcorp.com", "--domain", "xyzcorp.com"]


@pytest.fixture
def gw(new_gateway):
    """Configured, never started: the verb needs no gateway."""
    return new_gateway({"server": {"hostname": "gw.example.com"}})


def one(gw, address, *args, code=0):
    (answer,) = gw.json("address", *args, address, code=code)
    return answer


def texts(answer):
    return {name: form["text"] for name, form in answer["forms"].items()}


def test_a_damaged_address_is_shown_in_all_forms_with_every_step(gw):
    answer = one(gw, 'A::MRGATE::"B::C"@xyzcorp.com', *UCX)
    sound = r'"A::MRGATE::\"B::C\""@xyzcorp.com'
    assert answer["is"] == "an SMTP address, damaged on its way"
    assert texts(answer) == {
        "smtp": sound,
        "decnet": 'A::MRGATE::"B::C"',
        "mr": 'A::MRGATE::"B::C"',
        "vms": 'SMTP%"¢A::MRGATE::\\¢B::C\\¢¢@xyzcorp.com"',
    }
    assert answer["forms"]["smtp"]["steps"] == [
        {"rule": "repair.unquoted", "before": answer["address"], "after": sound}]
    assert [s["rule"] for s in answer["forms"]["mr"]["steps"]] == [
        "unsmtpfy.domain", "unsmtpfy.quotes", "unsmtpfy.escapes"]
    assert [s["rule"] for s in answer["forms"]["vms"]["steps"]] == ["cent.mask", "jacket.wrap"]


def test_a_form_that_there_is_not_says_why(gw):
    answer = one(gw, "ann@example.org", *UCX)
    assert answer["forms"]["mr"] == {
        "text": None, "why": "the domain is neither ours nor below the DECnet domain", "steps": []}
    assert answer["forms"]["vms"]["why"] is None
    done = gw.cli("address", *UCX, "--to", "mr", "ann@example.org", code=EX_DATAERR)
    assert done.stdout == ""
    assert done.stderr == ("postern: ann@example.org: there is no mr form: the domain is neither "
                           "ours nor below the DECnet domain\n")
    assert one(gw, "ann@example.org", *UCX, "--to", "mr",
               code=EX_DATAERR)["forms"].keys() == {"smtp", "mr"}


def test_to_gives_one_form_and_the_steps_to_it(gw):
    done = gw.cli("address", *UCX, "--to", "decnet", "--node", "SYSTM2", "SMTP%\"ann@example.org\"")
    assert done.stdout.splitlines()[0] == 'SYSTM2::SMTP%"ann@example.org"'
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        "jacket.take-off", "jacket.wrap", "decnet.node"]


def test_the_hosts_name_is_the_configurations(gw):
    assert texts(one(gw, "A::B"))["smtp"] == '"A::B"@gw.example.com'
    # With --host nothing of the configuration is asked, not even whether it is there.
    done = gw.cli("address", "--config", "/nonexistent", "--host", "h.example", "--to", "smtp", "JOE")
    assert done.stdout.splitlines()[0] == "JOE@h.example"
    gw.cli("address", "--config", "/nonexistent", "JOE", code=EX_NOINPUT)


def test_the_substitute_domain_is_the_configurations(gw):
    gw.configure({"server": {"hostname": "gw.example.com"},
                  "routing": {"host_names": ["mail.example.com", "gw.example.com"]}})
    assert texts(one(gw, "A::B"))["smtp"] == '"A::B"@mail.example.com'
    gw.configure({"server": {"hostname": "gw.example.com"},
                  "routing": {"substitute_domain": "example.com"}})
    assert texts(one(gw, "A::B"))["smtp"] == '"A::B"@example.com'
    assert texts(one(gw, "A::B", "--domain", "other.test"))["smtp"] == '"A::B"@other.test'


def test_every_setting_of_the_site_counts(gw):
    args = ["--host", "hq.example.com", "--decnet-domain", "dnet.example.com"]
    assert texts(one(gw, "WHARFIN::JOHN", *args))["smtp"] == "JOHN@WHARFIN.dnet.example.com"
    assert texts(one(gw, "JOHN@wharfin.DNET.example.com", *args))["decnet"] == "wharfin::JOHN"
    assert texts(one(gw, "GW::A1::JOE", "--host", "h.test", "--mrgate", "GW",
                     "--rewrite-mts"))["smtp"] == "JOE@h.test"


def test_several_addresses_are_answered_each_and_the_first_problem_counts(gw):
    done = gw.cli("address", *UCX, "--json", "a@b", "bo b@x", "<c@d>", code=EX_DATAERR)
    answers = json.loads(done.stdout)
    assert [a["address"] for a in answers] == ["a@b", "bo b@x", "c@d"]
    assert answers[1] == {
        "address": "bo b@x",
        "error": "this character needs a quoted local part: found ' ' at position 3"}
    assert done.stderr == f"postern: bo b@x: {answers[1]['error']}\n"


def test_a_password_is_not_sent_around(gw):
    done = gw.cli("address", *UCX, 'NODE"user secret"::JOE', code=EX_DATAERR)
    assert done.stdout == ""
    assert "there is a password in it" in done.stderr


def test_control_characters_do_not_reach_the_terminal(gw):
    done = gw.cli("address", *UCX, "\033[2JA::B", code=EX_DATAERR)
    assert "\033" not in done.stdout + done.stderr


@pytest.mark.parametrize("args, complaint", [
    ([], "no address"),
    (["--to", "uucp", "a@b"], "there is no form uucp"),
    (["--to"], "--to needs a value"),
    (["--form", "a@b"], "unknown option --form"),
    (["--domain", "a..b", "a@b"], "--domain a..b: the domain has an empty label"),
    (["--host", "-x", "a@b"], "--host -x: a label of a domain may not begin with '-'"),
    (["--decnet-domain", "", "a@b"], "--decnet-domain : the domain is empty"),
    (["--node", "A B", "a@b"], "--node A B: expected the name of a DECnet node"),
    (["--node", 'A"b c"', "a@b"], "expected the name of a DECnet node"),
])
def test_wrong_use_is_told_what_is_right(gw, args, complaint):
    done = gw.cli("address", *args, code=EX_USAGE)
    assert complaint in done.stderr and done.stdout == ""


def test_after_two_hyphens_all_are_addresses(gw):
    assert gw.cli("address", *UCX, "--to", "smtp", "--",
                  "-joe").stdout.splitlines()[0] == "-joe@xyzcorp.com"


# --- the page ---

def examples():
    """(command, output) of each example of docs/addresses.md."""
    with open(os.path.join(TOP, "docs/addresses.md"), encoding="utf-8") as file:
        page = file.read()
    for block in re.findall(r"(?:^ {4,}\S?.*\n)+", page, re.M):
        indent = len(block) - len(block.lstrip(" "))
        text = "".join(line[indent:] for line in block.splitlines(keepends=True))
        for example in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command, _, output = example.partition("\n")
            yield command, output


def rows():
    """(written, meant) of the page's tables that tell what is taken for what."""
    with open(os.path.join(TOP, "docs/addresses.md"), encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if len(cells) >= 2 and cells[0].startswith("`") and cells[-1].startswith("`"):
                for written in re.findall(r"`([^`]+)`", cells[0]):
                    yield written, cells[-1].strip("`")


def test_the_pages_examples_are_what_the_program_says(gw):
    ran = list(examples())
    assert len(ran) >= 8
    for command, output in ran:
        words = shlex.split(command)
        assert words[:2] == ["postern", "address"], command
        done = gw.cli(*words[1:], code=None)
        assert done.stdout + done.stderr == output, command


def test_the_pages_tables_are_what_the_program_says(gw):
    checked = 0
    for written, meant in rows():
        answer = one(gw, written, *UCX, "--node", "HQ")
        assert answer["forms"]["smtp"]["text"] == meant, written
        checked += 1
    assert checked >= 18
