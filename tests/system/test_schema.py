"""The JSON Schema of the configuration: an editor that uses it says what the loader says."""
import glob
import json
import os
import re
import subprocess

import pytest

from harness.base import BUILD, POSTERN, TOP
from harness.gateway import plugin_path

jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")

SECTIONS = {"server", "routing", "aliases", "queue", "spool", "dns", "log", "control"}
KINDS = {"ingress", "transports", "directories"}


def postern(*words):
    env = dict(os.environ, POSTERN_PLUGIN_PATH=plugin_path())
    env.pop("POSTERN_CONFIG", None)
    return subprocess.run([POSTERN, *words], env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", name="schema")
def the_schema():
    done = postern("check", "--schema")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", name="validator")
def the_validator(schema):
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def complaints(validator, config):
    return [f"/{'/'.join(map(str, e.absolute_path))}: {e.message}"
            for e in validator.iter_errors(config)]


def loads(folder, config):
    """What `postern check` says of a folder with this one file: its exit code and its words."""
    confd = os.path.join(folder, "conf.d")
    os.makedirs(confd, exist_ok=True)
    with open(os.path.join(confd, "10-test.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    done = postern("check", "--config", confd)
    return done.returncode, done.stderr


def test_the_built_file_is_what_the_program_says(schema):
    """`make install` brings this file."""
    path = os.path.join(BUILD, "postern.schema.json")
    if not os.path.exists(path):
        pytest.skip("`make` has not been run for everything here")
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == schema


# --- what is good ---

@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(TOP, "conf.d", "*.json"))),
                         ids=os.path.basename)
def test_shipped_files_are_good(validator, path):
    with open(path, encoding="utf-8") as file:
        assert not complaints(validator, json.load(file))


def test_the_defaults_are_good(validator):
    """They are written as an operator would, in C."""
    with open(os.path.join(TOP, "core", "config", "defaults.c"), encoding="utf-8") as file:
        source = re.search(r"defaults\[\] =\n(.*?);\n", file.read(), re.S).group(1)
    text = "".join(json.loads(line) for line in source.splitlines())
    defaults = json.loads(text)
    assert {"ingress", "transports"} < set(defaults)
    assert not complaints(validator, defaults)


def examples():
    """The objects that pages show, indented: whole files, and single rules."""
    for pattern in ("README.md", "docs/*.md", "plugins/*/*.md"):
        for path in sorted(glob.glob(os.path.join(TOP, pattern))):
            with open(path, encoding="utf-8") as file:
                page = file.read()
            for found in re.finditer(r"^    \{(?=[ \n])", page, re.M):
                try:
                    value, _ = json.JSONDecoder().raw_decode(page, found.end() - 1)
                except ValueError:
                    continue  # C, or a sketch with "..." in it
                where = f"{os.path.relpath(path, TOP)}:{page.count(chr(10), 0, found.start()) + 1}"
                if set(value) <= SECTIONS | KINDS | {"$schema"}:
                    yield pytest.param(value, id=where)
                elif "transport" in value:
                    yield pytest.param({"routing": {"rules": [value]}}, id=where)


EXAMPLES = list(examples())


def test_there_are_examples():
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_pages_are_good(validator, example):
    if "greeter" in example.get("transports", {}):
        pytest.skip("configures the plugin that the page has its reader write")
    assert not complaints(validator, example)


GOOD = {
    "nothing": {},
    "comments and a schema": {"$schema": "https://example.org/s.json", "$comment": ["any", 1],
                              "$comment 2": None, "queue": {"$comment": {}, "jitter": 5}},
    "durations": {"queue": {"lifetime": "1h30m", "dead_min": "200ms", "bounce_lifetime": "2w"}},
    "sizes": {"server": {"message_size_max": 1000}, "spool": {"cache": "64KiB", "min_free": "1gb"}},
    "one text for a list": {"queue": {"retry": "5m"}, "routing": {"local_domains": "a.test"}},
    "a list of objects": {"routing": {"rules": [{"domain": "*", "hold": "x", "$comment": "y"}]}},
    "an instance of another name": {"transports": {"out2": {"plugin": "smtp-out", "port": 26}}},
    "an instance of its plugin's name": {"transports": {"smtp-out": {"port": 26}}},
    "an instance named like another plugin": {
        "transports": {"pipe": {"plugin": "smtp-out", "port": 26}}},
    "a disabled instance": {"transports": {"out": {"plugin": "smtp-out", "enabled": False}}},
    "endpoints": {"ingress": {"smtp-in": {"listen": [
        "127.0.0.1:2525", "[::1]:2525", "0.0.0.0:26", "unix:/tmp/x"]}}},
    "a comment among instances": {
        "transports": {"$comment": "out", "smtp-out": {}, "local-mbox": {}}},
    "relative paths": {"log": {"file": "log"}},
    "hours and a schedule": {"routing": {"queue_groups": [
        {"name": "x", "hours": ["22:00-06:00", "12:00-24:00"], "retry": ["1m", "1h30m"]}]}},
    "a rule that does not discard": {"routing": {"rules": [
        {"domain": "x", "hold": "y", "discard": False}]}},
    "a default that discards": {"routing": {"default": {"discard": True}}},
}


@pytest.mark.parametrize("name", GOOD)
def test_both_take_what_is_good(validator, folder, name):
    assert not complaints(validator, GOOD[name])
    code, words = loads(folder, GOOD[name])
    assert code == 0, words


# --- what is not ---

BROKEN = {
    "an unknown section": {"quue": {}},
    "an unknown key": {"queue": {"lifetme": "3d"}},
    "a section that is a list": {"queue": []},
    "a schema that is a number": {"$schema": 7},
    "a schema inside of a section": {"queue": {"$schema": "x"}},
    "a number in quotes": {"server": {"hop_count_max": "20"}},
    "a number out of range": {"server": {"hop_count_max": 0}},
    "a number with a fraction": {"server": {"hop_count_max": 2.5}},
    "a word for true": {"routing": {"substitute_inbound": "yes"}},
    "a duration without a unit": {"queue": {"lifetime": 3}},
    "a duration of an unknown unit": {"queue": {"lifetime": "3 days"}},
    "a size of an unknown unit": {"spool": {"cache": "64X"}},
    "a negative size": {"spool": {"cache": -1}},
    "a choice that there is not": {"log": {"level": "loud"}},
    "a list of numbers": {"routing": {"local_domains": [1]}},
    "a list that is too long": {"queue": {"retry": ["1m"] * 65}},
    "an empty list where something is wanted": {"queue": {"retry": []}},
    "a text with a line end": {"server": {"postmaster": "a\nb"}},
    "an empty path": {"log": {"file": ""}},
    "an endpoint without a port": {"ingress": {"smtp-in": {"listen": "127.0.0.1"}}},
    "an endpoint with a name": {"ingress": {"smtp-in": {"listen": "localhost:25"}}},
    "a rule's unknown key": {"routing": {"rules": [{"domian": "x", "hold": "y"}]}},
    "rules that are no list": {"routing": {"rules": {"domain": "x", "hold": "y"}}},
    "a required key that is missing": {"dns": {"local_mx": [{"domain": "x.test"}]}},
    "a plugin's unknown key": {"transports": {"out": {"plugin": "smtp-out", "prot": 26}}},
    "the same without a plugin key": {"transports": {"smtp-out": {"prot": 26}}},
    "another plugin's key": {"transports": {"smtp-out": {"plugin": "local-mbox", "port": 26}}},
    "a plugin's number out of range": {"transports": {"out": {"plugin": "smtp-out", "port": 70000}}},
    "an unknown plugin": {"transports": {"out": {"plugin": "smtp-ouch"}}},
    "an instance that says nothing of its plugin": {"transports": {"out": {}}},
    "an instance of an impossible name": {"transports": {"Smtp_Out": {"plugin": "smtp-out"}}},
    "a transport among the ingresses": {"ingress": {"smtp-out": {}}},
    "an ingress among the transports": {"transports": {"in": {"plugin": "smtp-in"}}},
    "an instance that is a text": {"transports": {"smtp-out": "yes"}},
    "a plugin that is no text": {"transports": {"smtp-out": {"plugin": 1}}},
    "a wait that is none": {"queue": {"retry": ["5m", "soon"]}},
    "a group's wait that is none": {"routing": {"queue_groups": [{"name": "x", "retry": "5"}]}},
    "hours that are none": {"routing": {"queue_groups": [{"name": "x", "hours": "22-6"}]}},
    "hours with a blank": {"routing": {"queue_groups": [{"name": "x", "hours": " 1:00-06:00"}]}},
    "a rule without an action": {"routing": {"rules": [{"domain": "x"}]}},
    "a rule that does not discard, nor anything else": {"routing": {"rules": [
        {"domain": "x", "discard": False}]}},
    "a rule with two actions": {"routing": {"rules": [{"domain": "x", "hold": "y", "fail": "z"}]}},
    "a default without an action": {"routing": {"default": {}}},
}


@pytest.mark.parametrize("name", BROKEN)
def test_both_refuse_what_is_broken(validator, folder, name):
    assert complaints(validator, BROKEN[name])
    code, words = loads(folder, BROKEN[name])
    assert code == 78 and words, words


# --- completeness ---

def plugins():
    listed = json.loads(postern("plugin", "list", "--json").stdout)
    return [json.loads(postern("plugin", "info", p["name"], "--json").stdout) for p in listed
            if "refused" not in p]


def expect_options(schema, options, where):
    """Every row of a table is a property that says what the table says; tables inside too."""
    for row in options:
        at = f"{where}/{row['key']}"
        assert row["key"] in schema["properties"], at
        prop = schema["properties"][row["key"]]
        assert prop["description"] == row["doc"], at
        assert prop.get("default") == row.get("default"), at
        assert (row["key"] in schema.get("required", ())) == row["required"], at
        if "choices" in row:
            assert prop["enum"] == row["choices"], at
        if "default" in row:
            jsonschema.Draft7Validator(prop).validate(row["default"])
        if "options" in row:
            expect_options(prop.get("items", prop), row["options"], at)


def test_every_option_of_every_plugin_is_there(schema):
    found = plugins()
    assert {"smtp-in", "smtp-out", "local-mbox"} <= {p["name"] for p in found}
    for plugin in found:
        definition = schema["definitions"]["plugin-" + plugin["name"]]
        expect_options(definition, plugin["options"], plugin["name"])
        extra = set(definition["properties"]) - {row["key"] for row in plugin["options"]}
        assert extra == {"plugin", "enabled"}
        for kind, capability in (("ingress", "ingress"), ("transports", "transport"),
                                 ("directories", "directory")):
            names = schema["definitions"]["instance-" + kind]["properties"]["plugin"]["enum"]
            assert (plugin["name"] in names) == (capability in plugin["capabilities"])


def test_every_option_of_the_sections_is_there(schema):
    """docs/configuration.md has all of them: a unit test sees to that."""
    with open(os.path.join(TOP, "docs", "configuration.md"), encoding="utf-8") as file:
        page = file.read()
    tables = re.findall(r"<!-- options: (\S+) -->\n(.*?)<!-- end of options -->", page, re.S)
    assert {name for name, _ in tables} == set(schema["properties"]) - KINDS - {"$schema"}
    for name, table in tables:
        keys = re.findall(r"^\| `([^`]+)` \|", table, re.M)
        assert keys, name
        for key in keys:
            at = schema["properties"][name]
            for word in key.split("."):
                at = at["properties"][word.removesuffix("[]")]
                at = at.get("items", at) if word.endswith("[]") else at
            assert at["description"], key


def test_secrets_are_texts_files_or_variables(schema):
    """No shipped plugin need have one for this: every secret that there is has the same form."""
    def secrets(node):
        if isinstance(node, dict):
            if str(node.get("title", "")).startswith("secret"):
                yield node
            for value in node.values():
                yield from secrets(value)
        elif isinstance(node, list):
            for value in node:
                yield from secrets(value)
    found = list(secrets(schema))
    if not found:
        pytest.skip("no installed plugin takes a secret")
    for node in found:
        validator = jsonschema.Draft7Validator(node)
        for good in ("text", {"file": "a"}, {"env": "A"}, {"env": "A", "$comment": "x"}):
            assert validator.is_valid(good)
        for bad in (1, [], {}, {"file": ""}, {"file": "a", "env": "A"}, {"flie": "a"}):
            assert not validator.is_valid(bad)
