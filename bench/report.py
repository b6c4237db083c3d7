"""The report: one Markdown table for each model, format, instruction set and thread count, what KitFox's own time is made of, and what each
engine did to the model.

Medians are medians over turns of a turn's median (or 90th percentile); a ratio is the median of the ratios inside each round.
"""
import statistics

KINDS = ("fp32", "int8")
ISAS = ("native", "avx2")
OURS = ("kitfox", "pixels")


def middle(turns, key):
    return statistics.median(turn[key] for turn in turns)


def ratio(turns, ours):
    """Above 1: slower than KitFox, taken round by round so that a drift of the machine cancels; None where KitFox did not run."""
    return statistics.median(t["median_ms"] / o["median_ms"] for t, o in zip(turns, ours)) if ours else None


def number(value, form):
    return "-" if value is None else form % value


def plural(count, word):
    return "%d %s" % (count, word + "s" * (count != 1))


def restricted(engine, turns, isa):
    """What is known of an engine that was asked to keep to `isa`."""
    if isa not in engine.restrict:
        return "no: %s" % engine.unrestricted
    seen = {turn.get("isa") for turn in turns} - {None, ""}
    if not seen:
        return "asked to"
    return "yes" if seen == {isa} else "asked to, runs %s" % ", ".join(sorted(seen))


def fastest(turns, engines, isa):
    """A sentence on the peer with the least median; under a restriction, of those that keep to it."""
    fit = [name for name in turns if name not in OURS and (isa == "native" or restricted(engines[name], turns[name], isa) == "yes")]
    if not fit or "kitfox" not in turns:
        return []
    name = min(fit, key=lambda n: middle(turns[n], "median_ms"))
    which = "Fastest peer" if isa == "native" else "Fastest peer that keeps to %s" % isa.upper()
    return ["%s: %s, %.2f times KitFox's time." % (which, engines[name].title, ratio(turns[name], turns["kitfox"])), ""]


def table(setting, turns, agreement, engines):
    kind, isa, threads = setting
    lines = ["### %s, %s%s" % (kind, plural(threads, "thread"), "" if isa == "native" else ", at most " + isa.upper()), ""]
    if not turns:
        return lines + ["No engine ran.", ""]
    head = ["engine", "median ms", "best ms", "p90 ms", "ratio to ours", "peak RSS MiB", "start ms", "top-1 as ours %"] + ["restricted"] * (isa != "native")
    lines += ["| %s |" % " | ".join(head), "|" + "---|" * len(head)]
    for name, t in sorted(turns.items(), key=lambda item: middle(item[1], "median_ms")):
        cells = [engines[name].title, "%.3f" % middle(t, "median_ms"), "%.3f" % min(turn["median_ms"] for turn in t), "%.3f" % middle(t, "p90_ms"),
                 number(ratio(t, turns.get("kitfox")), "%.2f"), "%.1f" % middle(t, "rss_mib"), "%.1f" % middle(t, "start_ms"), number(agreement.get(name), "%.1f")]
        lines.append("| %s |" % " | ".join(cells + [restricted(engines[name], t, isa)] * (isa != "native")))
    return lines + [""] + fastest(turns, engines, isa)


def sessions(rows):
    """rows: for each number of sessions, its rounds."""
    lines = ["| sessions of one thread | pictures a second | of as many times one session alone | median ms |", "|---|---|---|---|"]
    for rounds in rows:
        lines.append("| %d | %.0f | %.2f | %.3f |" % (rounds[0]["sessions"], middle(rounds, "fps"), middle(rounds, "scaling"), middle(rounds, "median_ms")))
    return lines + [""]


def limit_of(step, limit):
    """Least ms for the step's multiply-adds by the type of its kernel; None where it has none or the limit is not known."""
    rate = next((limit[kind] for kind in ("f32", "u8", "i16") if "_%s_" % kind in step["kernel"] and limit.get(kind)), None)
    return step["macs"] / rate / 1e6 if rate and step["macs"] else None


def steps(own):
    """Each step against the limit of the machine's multiply-adds."""
    limit = own["limit"]
    lines = ["| step | kernel | output | M multiply-adds | ms | limit ms | of the limit |", "|---|---|---|---|---|---|---|"]
    for i, step in enumerate(own["steps"]):
        least = limit_of(step, limit)
        lines.append("| %d %s | %s | %s | %.3f | %.4f | %s | %s |" % (i, step["node"], step["kernel"], "x".join(map(str, step["shape"][1:])), step["macs"] / 1e6,
                                                                     step["ms"], number(least, "%.4f"), number(least and 100 * least / step["ms"], "%.0f %%")))
    total, least = sum(s["ms"] for s in own["steps"]), sum(limit_of(s, limit) or 0 for s in own["steps"])
    lines.append("| all | | | %.3f | %.4f | %s | %s |" % (sum(s["macs"] for s in own["steps"]) / 1e6, total, number(least or None, "%.4f"),
                                                         number(100 * least / total if least else None, "%.0f %%")))
    return lines + [""]


def own_sections(own):
    lines = []
    for kind, figures in own.items():
        if not figures:
            continue
        limit = figures["limit"]
        lines += ["### KitFox, %s: sessions side by side" % kind, ""] + sessions(figures["sessions"])
        lines += ["### KitFox, %s: its steps, 1 thread" % kind, ""]
        known = "The limit was not measured: machine_limit is not built."
        if limit:
            rates = ", ".join("%s %.1f" % (k, limit[k]) for k in ("f32", "u8", "i16"))
            known = "Limit measured before and after, in registers alone: %s multiply-adds a nanosecond (%s)." % (rates, limit["isa"])
        lines += ["Smallest time of each step run alone. %s A layer that waits for memory cannot reach it." % known, ""] + steps(figures)
    return lines


def section(result, engines):
    lines = ["## %s" % result["model"], ""]
    if result["weights"]:
        lines += ["Weights: %s. Times do not depend on them; agreement and accuracy mean little." % result["weights"], ""]
    for *setting, turns, agreement in result["tables"]:
        lines += table(setting, turns, agreement, engines)
    source = "photos" if result["photos"] else "drawn pictures (no photos were given: agreement and int8 ranges mean little)"
    lines += ["Top-1 judged on %d and int8 calibrated on %d other %s. A Python with numpy and no engine: %.1f MiB, %.1f ms to its first line."
              % (result["judged"], result["calibrated"], source, *result["idle"]), ""]
    if result["spelling"]:
        lines += ["The file that the peers got: %s." % result["spelling"].replace("|", "/"), ""]
    lines += ["| engine | format | how |", "|---|---|---|"]
    lines += ["| %s | %s | %s |" % (engines[name].title, kind, note.replace("|", "/")) for (name, kind), note in sorted(result["notes"].items())]
    return lines + [""] + own_sections(result["own"])


def write(results, engines, a, cpu, count):
    lines = ["# Peer benchmark", "", "%s, %s; %s of %s, engines in turns, each turn a pinned process of its own."
             % (cpu, plural(count, "logical processor"), plural(a.rounds, "round"), plural(a.frames, "frame")), ""]
    lines += ["- %s: %s" % (engine.title, engine.versions or "not installed") for name, engine in engines.items() if name != "pixels"] + [""]
    for result in results:
        lines += section(result, engines)
    return "\n".join(lines).rstrip() + "\n"
