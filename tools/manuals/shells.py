"""Completion for bash, zsh and fish from the tables of options (kitfox-tables).

An option's values are: a fixed choice, files, folders, names that the program itself prints, or unknown. All three
shells get the same; the words that follow the options are files, or the names of `kitfox pull --list`.
"""

import re

HEAD = "Made by tools/make_manuals.py from the tables of options of the program: do not edit."
# Options whose values the program knows: the words that print them, and what stands before each.
PRINTED = {"arch": ("zoo", ""), "preprocess": ("zoo", "timm:")}
FILES = re.compile(r"FILE|OUT|MODEL|DIR\|FILE")


def choices(option):
    """The fixed values of an option: what it names itself, else what the program asks for when it gets another."""
    argument = option["argument"] or ""
    if "|" in argument and argument.islower():
        return argument.split("|")
    said = re.search(r"\?'?: (.*) (?:is|are) needed$", option.get("refusal") or "")
    words = re.split(r", | or ", said[1]) if said else []
    return words if len(words) > 1 and all(re.fullmatch(r"[a-z0-9-]+", w) for w in words) else []


def values(option):
    """("none" | "choice" | "files" | "folders" | "printed" | "any", detail)."""
    argument = option["argument"]
    if argument is None:
        return "none", None
    if choices(option):
        return "choice", choices(option)
    if option["name"] in PRINTED:
        return "printed", PRINTED[option["name"]]
    if argument == "DIR":
        return "folders", None
    return ("files" if FILES.search(argument) else "any"), None


def names(option):
    """Every way to write an option."""
    long = [f"--{n}" for n in [option["name"], *option["aliases"]] if n]
    return ([f"-{option['letter']}"] if option["letter"] else []) + long


def short_help(option):
    """The first words of an option's help, for a line of a list."""
    text = re.split(r"[;:(]| default", option["help"])[0].strip(" ,.")
    return text.replace("%s", "NAME")


HELP = {"name": "help", "aliases": [], "letter": "?", "argument": None, "help": "explain the verb", "group": 99}


def rdk_options(tools):
    """{tool with its command: options in the form of the verbs'}."""
    all_ = {}
    for tool in tools:
        flags = [{**f, "aliases": [], "argument": "VALUE" if f["takes"] else None} for f in tool["flags"]]
        for f in flags:
            if f["argument"] and re.search(r"file|path|model$|config|output", f["name"]):
                f["argument"] = "FILE"
        for command in ("model_info", "infer", "perf") if tool["name"] == "hrt_model_exec" else ("",):
            all_[f"{tool['name']} {command}".strip()] = flags
    return all_


# ---- bash --------------------------------------------------------------------------------------------------------

BASH = r"""# bash completion for %(program)s. %(head)s

_%(id)s_printed() { # the first column of what the program prints for these words
  "$1" "${@:2}" 2>/dev/null | awk '$1 != "name" { print $1 }'
}

_%(id)s() {
  # Readline cuts words at "=" and ":" too: they are put together again, and it replaces what is behind the last.
  local cur prev verb='' opts='' word words=() cword=-1
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [ "$cword" -gt 0 ] && [[ $word == [=:]* || ${words[cword]} == --*= || ${words[cword]} == *timm: ]]; then
      words[cword]+=$word
    else
      words[++cword]=$word
    fi
  done
  cur=${words[cword]} prev=${words[cword-1]}
  COMPREPLY=()
  [ "$cword" -lt 2 ] || verb=${words[1]}
  if [ -z "$verb" ]; then
    COMPREPLY=($(compgen -W '%(verbs)s --help --version' -- "$cur"))
    return
  fi
%(tools)s
  local option=$prev value=$cur
  if [[ $cur == --*=* ]]; then
    option=${cur%%%%=*} value=${cur#*=}
  fi
  case "$verb:$option" in
%(cases)s
  esac
  if [[ $cur == -* ]]; then
    case "$verb" in
%(options)s
    esac
    COMPREPLY=($(compgen -W "$opts" -- "$cur"))
    return
  fi
  case "$verb" in
%(words)s
    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -F _%(id)s %(program)s
"""


def bash_values(program, id_, kind, detail):
    if kind == "choice":
        return f"COMPREPLY=($(compgen -W '{' '.join(detail)}' -- \"$value\")); return"
    if kind == "printed":
        verb, prefix = detail
        # A colon ends a word of bash: what is before it is not replaced.
        words = f'$(_{id_}_printed "${{words[0]}}" {verb})'
        if not prefix:
            return f'COMPREPLY=($(compgen -W "{words}" -- "$value")); return'
        return (
            f'COMPREPLY=($(compgen -P \'{prefix}\' -W "{words}" -- "${{value#{prefix}}}")); '
            f'[[ $value != *:* || $COMP_WORDBREAKS != *:* ]] || COMPREPLY=("${{COMPREPLY[@]#{prefix}}}"); return'
        )
    if kind == "files":
        return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$value")); return'
    if kind == "folders":
        return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$value")); return'
    return "return"


def bash(program, verbs, tools):
    id_ = program.replace("-", "_")
    by_action, options, words = {}, [], []
    table = {v["name"]: v["options"] + [HELP] for v in verbs}
    table.update(rdk_options(tools))
    for verb, all_ in table.items():
        options.append(f"      '{verb}') opts='{' '.join(n for o in all_ for n in names(o) if n != '-?')}' ;;")
        for o in all_:
            kind, detail = values(o)
            if kind != "none":
                action = bash_values(program, id_, kind, detail)
                by_action.setdefault(action, []).extend(f"'{verb}:{n}'" for n in names(o))
    cases = []
    for action, patterns in by_action.items():
        cases.append("    " + "|\\\n    ".join(patterns) + ")\n      " + action + " ;;")
    if any(v["name"] == "pull" for v in verbs):
        words.append(
            f'    pull) COMPREPLY=($(compgen -W "$(_{id_}_printed "${{words[0]}}" pull --list)" -- "$cur")) ;;'
        )
    words.append("    zoo) ;;")
    text = ""
    if tools:
        commands = {}
        for name in rdk_options(tools):
            commands.setdefault(name.split()[0], []).extend(name.split()[1:])
        text = '  if [ "$verb" = rdk ]; then\n    if [ "$cword" -eq 2 ] && [[ $cur != -* ]]; then\n'
        text += f"      COMPREPLY=($(compgen -W '{' '.join(commands)}' -- \"$cur\"))\n      return\n    fi\n"
        text += '    case "${words[2]}" in\n'
        for name, own in commands.items():
            if not own:
                text += f"      {name}) verb='{name}' ;;\n"
                continue
            text += f'      {name})\n        if [ "$cword" -eq 3 ]; then\n'
            text += f"          COMPREPLY=($(compgen -W '{' '.join(own)}' -- \"$cur\"))\n          return\n        fi\n"
            text += f'        verb="{name} ${{words[3]}}" ;;\n'
        text += "    esac\n  fi"
    return BASH % {
        "program": program,
        "id": id_,
        "head": HEAD,
        "verbs": " ".join(v["name"] for v in verbs),
        "tools": text,
        "cases": "\n".join(cases),
        "options": "\n".join(options),
        "words": "\n".join(words),
    }


# ---- zsh ---------------------------------------------------------------------------------------------------------

ZSH = r"""#compdef %(program)s
# zsh completion for %(program)s. %(head)s

_%(id)s_printed() { # PREFIX WORDS: the first column of what the program prints for these words
  local -a all
  all=(${(f)"$($service ${@:2} 2>/dev/null | awk '$1 != "name" { print $1 }')"})
  compadd -- $1$^all
}
_%(id)s_zoo() { _%(id)s_printed '' zoo }
_%(id)s_zoo_timm() { _%(id)s_printed timm: zoo }
_%(id)s_pull() { _%(id)s_printed '' pull --list }

_%(id)s_options() {
  case $1 in
%(cases)s
  esac
}

_%(id)s() {
  local curcontext=$curcontext state line
  local -a verbs
  verbs=(
%(verbs)s
  )
  _arguments -C '(- : *)--help[explain the program]' '(- : *)--version[print the version]' '1: :->verb' '*:: :->rest'
  case $state in
    verb) _describe -t commands verb verbs ;;
    rest)%(tools)s
      _%(id)s_options $words[1] ;;
  esac
}

_%(id)s "$@"
"""


def zsh_quoted(text):
    return text.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_action(id_, option):
    kind, detail = values(option)
    if kind == "none":
        return ""
    label = zsh_quoted((option["argument"] or "").lower())
    if kind == "choice":
        return f":{label}:({' '.join(detail)})"
    if kind == "printed":
        return f":{label}:_{id_}_{detail[0]}{'_timm' if detail[1] else ''}"
    return f":{label}:" + {"files": "_files", "folders": "_files -/", "any": " "}[kind]


def zsh_specs(id_, option):
    """An option for _arguments: all its names exclude each other; a value may be joined with "="."""
    all_, action = names(option), zsh_action(id_, option)
    repeated = "(repeat" in option["help"]
    for name in all_:
        mark = "" if not action else ("=" if name.startswith("--") else "+")
        rest = "*" if repeated else "(" + " ".join(all_) + ")"
        yield f"'{rest}{name}{mark}[{zsh_quoted(short_help(option))}]{action}'"


def zsh(program, verbs, tools):
    id_ = program.replace("-", "_")
    table = {v["name"]: v["options"] + [HELP] for v in verbs}
    table.update(rdk_options(tools))
    cases = []
    for verb, all_ in table.items():
        rest = {"zoo": "", "pull": f" \\\n        '*:name:_{id_}_pull'"}.get(verb, " \\\n        '*:file:_files'")
        specs = " \\\n        ".join(s for o in all_ for s in zsh_specs(id_, o))
        cases.append(f"    '{verb}')\n      _arguments -s -S {specs}{rest} ;;")
    lines = "\n".join(f"    '{v['name']}:{zsh_quoted(v['does'])}'" for v in verbs)
    text = ""
    if tools:
        commands = {}
        for name in rdk_options(tools):
            commands.setdefault(name.split()[0], []).extend(name.split()[1:])
        text = "\n      if [[ $words[1] = rdk && $CURRENT -gt 2 ]]; then\n        case $words[2] in\n"
        for name, own in commands.items():
            if own:
                text += (
                    f"          {name})\n            if (( CURRENT == 3 )); then\n"
                    f"              compadd {' '.join(own)}\n"
                    f'              return\n            fi\n            local tool="{name} $words[3]"\n'
                    "            shift 2 words; (( CURRENT -= 2 ))\n"
                    f"            _{id_}_options $tool ;;\n"
                )
            else:
                text += f"          {name}) shift 1 words; (( CURRENT -= 1 )); _{id_}_options {name} ;;\n"
        text += "        esac\n        return\n      fi\n"
        text += "      if [[ $words[1] = rdk && $CURRENT -eq 2 && $words[2] != -* ]]; then\n"
        text += f"        compadd {' '.join(commands)}\n        return\n      fi"
    return ZSH % {"program": program, "id": id_, "head": HEAD, "cases": "\n".join(cases), "verbs": lines, "tools": text}


# ---- fish --------------------------------------------------------------------------------------------------------

FISH = r"""# fish completion for %(program)s. %(head)s

function __%(id)s_printed # the first column of what the program prints for these words
    set -l program (commandline -opc)[1]
    $program $argv 2>/dev/null | string match -rv '^name ' | string replace -r ' .*' ''
end

function __%(id)s_verb # is the line of this verb, or of this tool of the verb rdk?
    set -l words (commandline -opc)
    set -l last (math (count $argv) + 1)
    test (count $words) -ge $last; and test "$words[2..$last]" = "$argv"
end

function __%(id)s_only # exactly these words stand before the one at hand
    __%(id)s_verb $argv; and test (count (commandline -opc)) -eq (math (count $argv) + 1)
end

function __%(id)s_none
    test (count (commandline -opc)) -eq 1
end

complete -c %(program)s -n __%(id)s_none -f
%(lines)s
"""


def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish(program, verbs, tools):
    id_ = program.replace("-", "_")
    lines = [f"complete -c {program} -n __{id_}_none -a {v['name']} -d {fish_quoted(v['does'])}" for v in verbs]
    lines += [
        f"complete -c {program} -n __{id_}_none -l {n} -d {fish_quoted(d)}"
        for n, d in (("help", "explain the program"), ("version", "print the version"))
    ]
    table = {v["name"]: v["options"] + [HELP] for v in verbs}
    extra = rdk_options(tools)
    table.update({f"rdk {name}": options for name, options in extra.items()})
    commands = sorted({name.split()[0] for name in extra})
    if extra:
        lines.append(f"complete -c {program} -n '__{id_}_only rdk' -f -a '{' '.join(commands)}'")
    for tool in commands:
        own = [name.split()[1] for name in extra if name.split()[0] == tool and " " in name]
        if own:
            lines.append(f"complete -c {program} -n '__{id_}_only rdk {tool}' -f -a '{' '.join(own)}'")
    for verb, options in table.items():
        here = f"complete -c {program} -n '__{id_}_{'only' if verb == 'rdk' else 'verb'} {verb}'"
        if verb in ("zoo", "pull"):
            lines.append(here + (" -f" if verb == "zoo" else f" -f -a '(__{id_}_printed pull --list)'"))
        for o in options:
            kind, detail = values(o)
            words = [here] + [f"-l {n}" for n in [o["name"], *o["aliases"]]]
            words += [f"-s {o['letter']}"] if o["letter"] and o["letter"] != "?" else []
            words.append(
                {
                    "none": "",
                    "choice": f"-x -a {fish_quoted(' '.join(detail or []))}",
                    "files": "-r -F",
                    "folders": "-x -a '(__fish_complete_directories)'",
                    "any": "-x",
                    "printed": f"-x -a '{(detail or ('', ''))[1]}(__{id_}_printed {(detail or ('', ''))[0]})'",
                }[kind]
            )
            lines.append(" ".join(w for w in words + [f"-d {fish_quoted(short_help(o))}"] if w))
    return FISH % {"program": program, "id": id_, "head": HEAD, "lines": "\n".join(lines)}
