"""From the runs to tables, for a terminal and for docs/benchmarks.md."""
from .measure import median, spread

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
MIB = 1 << 20


def short(value, digits=3):
    """Three significant digits, and no more than the measurement is good for."""
    if value is None:
        return "–"
    if value >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.{digits}g}" if value >= 0.01 else f"{value:.4f}"


def with_spread(runs, name, scale=1.0):
    if not runs:
        return "failed"
    low, high = spread(runs, name)
    text = short(median(runs, name) * scale)
    if len(runs) > 1:
        text += f" ({short(low * scale)}–{short(high * scale)})"
    return text


def memory(runs):
    if not runs:
        return "failed"
    return f"{short(median(runs, 'rss') / MIB)} ({short(median(runs, 'pss') / MIB)})"


def ratio(results, cell, name):
    ours, theirs = (median(results["runs"].get((peer, cell), []), name)
                    for peer in ("postern", "postfix"))
    if not ours or not theirs:
        return "–"
    return short(ours / theirs)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] * len(head)) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def per_peer(results, show, name=None):
    """Rows of one figure: a column a peer, and the ratio where both were measured."""
    rows = []
    for cell in results["cells"]:
        row = [cell.label()]
        row += [show(results["runs"].get((peer, cell), [])) for peer in results["peers"]]
        if name and len(results["peers"]) == 2:
            row.append(ratio(results, cell, name))
        rows.append(row)
    return rows


def heads(results, *more):
    return ["cell"] + [peer.capitalize() for peer in results["peers"]] + list(more)


def ratio_head(results):
    return ["Postern / Postfix"] if len(results["peers"]) == 2 else []


def latency(runs):
    if not runs:
        return "failed"
    middle = sorted(runs, key=lambda run: run["latency_ms"]["p50"])[len(runs) // 2]
    return " / ".join(short(middle["latency_ms"][p]) for p in ("p50", "p99", "max"))


def tables(results):
    lines = ["Messages per second, from the first connect until the sink has every message:", ""]
    rows = per_peer(results, lambda runs: with_spread(runs, "rate"), "rate")
    for row, cell in zip(rows, results["cells"]):
        row.append(with_spread(results["runs"].get(("ceiling", cell), []), "rate"))
    lines += table(heads(results, *ratio_head(results), "ceiling (no server)"), rows)
    if not results["peers"]:
        return lines
    for title, name, show in (
            ("CPU seconds (user and system, all processes of the server) per 1000 messages:",
             "cpu_per_1000", lambda runs: with_spread(runs, "cpu_per_1000")),
            ("Peak memory, MiB: RSS summed over the server's processes, in brackets PSS, where a "
             "page that several share counts once; the ratio is PSS's:", "pss", memory)):
        lines += ["", title, ""]
        lines += table(heads(results, *ratio_head(results)), per_peer(results, show, name))
    lines += ["", "Messages accepted per second (until the generator has its last 250):", ""]
    lines += table(heads(results, *ratio_head(results)),
                   per_peer(results, lambda runs: with_spread(runs, "accept_rate"),
                            "accept_rate"))
    lines += ["", "Milliseconds from MAIL to the 250 after the content, median / 99 % / longest:",
              ""]
    lines += table(heads(results), per_peer(results, latency))
    lines += ["", "How it was taken: messages per run / processes of the server at most / CPU "
              "seconds per 1000 messages of generator and sink / of the whole machine with "
              "interrupts / share of the machine that others used:", ""]
    lines += table(heads(results), per_peer(results, circumstances))
    return lines


def circumstances(runs):
    if not runs:
        return "failed"
    return (f"{median(runs, 'messages'):.0f} / {median(runs, 'processes'):.0f} / "
            f"{short(median(runs, 'tools_cpu_per_1000'), 2)} / "
            f"{short(median(runs, 'machine_cpu_per_1000'))} / "
            f"{median(runs, 'others') * 100:.0f} %")


def conditions(results):
    shape, options = results["machine"], results["options"]
    kept = ("kept connections" if not options["per_connection"] else
            f"{options['per_connection']} per connection")
    lines = [
        f"- {shape['cpu']}, {shape['cores']} cores, {shape['memory_gib']} GiB; "
        f"{shape['system']}, Linux {shape['kernel']}. Generator, server and sink share the "
        "cores.",
        f"- Spools on {shape['filesystem']}; one writer gets {shape['fdatasync_per_second']} "
        "appends of 4 KiB with fdatasync per second there, or makes, flushes and removes "
        f"{shape['durable_files_per_second']} files.",
        f"- {'; '.join([*results['versions'].values(), shape['date']])}.",
        f"- {kept.capitalize()}, {'with' if options['pipelining'] else 'without'} pipelining; median"
        f" (least–most) of {options['repeat']} interleaved repetition"
        f"{'s' * (options['repeat'] != 1)}, "
        "each with servers started anew and an empty spool, after a warm-up.",
    ]
    return lines


def faults(results):
    lines = [f"- {fault}" for fault in results["faults"]]
    for (peer, cell), runs in results["runs"].items():
        doubled = sum(run.get("duplicates", 0) for run in runs)
        if doubled:
            lines.append(f"- {peer}, {cell.label()}: {doubled} messages arrived twice")
        strangers = sum(run["foreign"] for run in runs)
        if strangers:
            lines.append(f"- {peer}, {cell.label()}: {strangers} messages came late, from an "
                         "earlier round, or were not ours at all (bounces?)")
        if not all(run.get("ended_by_itself", True) for run in runs):
            lines.append(f"- {peer}, {cell.label()}: did not end on SIGTERM in time")
    return ["", "Faults:", ""] + lines if lines else []


def settings(results):
    lines = []
    for peer, text in results["settings"].items():
        kind = "json" if text[0].startswith("{") else "ini"
        lines += ["", f"{peer.capitalize()}'s settings:", "", f"```{kind}", *text, "```"]
    return lines


def markdown(results):
    return "\n".join(conditions(results) + [""] + tables(results) + faults(results) +
                     settings(results)) + "\n"


def write_docs(path, text, begin_mark=BEGIN, end_mark=END):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    before, begin, rest = page.partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"{path} has no {begin_mark} ... {end_mark}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{begin_mark}\n\n{text}\n{end_mark}{after}")
