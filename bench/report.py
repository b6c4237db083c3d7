"""The report: one Markdown table for each model, format and thread count, then what each engine did to the model.

Medians are medians over turns of a turn's median (or 90th percentile); a ratio is the median of the ratios inside each round.
"""
import statistics


def middle(turns, key):
    return statistics.median(turn[key] for turn in turns)


def ratio(turns, ours):
    """Above 1: slower than KitFox, taken round by round so that a drift of the machine cancels."""
    if not ours:
        return "-"
    return "%.2f" % statistics.median(t["median_ms"] / o["median_ms"] for t, o in zip(turns, ours))


def table(kind, threads, turns, agreement, titles):
    lines = ["### %s, %d thread%s" % (kind, threads, "s" * (threads > 1)), ""]
    if not turns:
        return lines + ["No engine ran.", ""]
    lines += ["| engine | median ms | p90 ms | ratio to ours | peak RSS MiB | start ms | top-1 as ours % |", "|---|---|---|---|---|---|---|"]
    ours = turns.get("kitfox")
    for name, t in sorted(turns.items(), key=lambda item: middle(item[1], "median_ms")):
        same = "%.1f" % agreement[name] if name in agreement else "-"
        lines.append("| %s | %.3f | %.3f | %s | %.1f | %.1f | %s |" % (titles[name], middle(t, "median_ms"), middle(t, "p90_ms"), ratio(t, ours),
                                                                    middle(t, "rss_mib"), middle(t, "start_ms"), same))
    return lines + [""]


def section(result, titles):
    lines = ["## %s" % result["model"], ""]
    for kind, threads, turns, agreement in result["tables"]:
        lines += table(kind, threads, turns, agreement, titles)
    source = "photos" if result["photos"] else "drawn pictures (no photos were given: agreement and int8 ranges mean little)"
    lines += ["Top-1 judged on %d and int8 calibrated on %d other %s. A Python with numpy and no engine: %.1f MiB, %.1f ms to its first line."
              % (result["judged"], result["calibrated"], source, *result["idle"]), ""]
    lines += ["| engine | format | how |", "|---|---|---|"]
    lines += ["| %s | %s | %s |" % (titles[name], kind, note.replace("|", "/")) for (name, kind), note in sorted(result["notes"].items())]
    return lines + [""]


def write(results, engines, a, cpu, count):
    lines = ["# Peer benchmark", "", "%s, %d logical processors; %d rounds of %d frames, engines in turns, each turn a pinned process of its own."
             % (cpu, count, a.rounds, a.frames), ""]
    lines += ["- %s: %s" % (engine.title, engine.versions or "not installed") for name, engine in engines.items()] + [""]
    titles = {name: engine.title for name, engine in engines.items()}
    for result in results:
        lines += section(result, titles)
    return "\n".join(lines).rstrip() + "\n"
