# bash completion for kitfox-run. Made by tools/make_manuals.py from the tables of options of the program: do not edit.

_kitfox_run_printed() { # the first column of what the program prints for these words
  "$1" "${@:2}" 2>/dev/null | awk '$1 != "name" { print $1 }'
}

_kitfox_run() {
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
    COMPREPLY=($(compgen -W 'classify stream info verify bench --help --version' -- "$cur"))
    return
  fi

  local option=$prev value=$cur
  if [[ $cur == --*=* ]]; then
    option=${cur%%=*} value=${cur#*=}
  fi
  case "$verb:$option" in
    'classify:-k'|\
    'classify:--top'|\
    'classify:--max-pixels'|\
    'classify:-s'|\
    'classify:--input-shape'|\
    'classify:--batch'|\
    'classify:--max-fold-bytes'|\
    'classify:--resize'|\
    'classify:--crop-pct'|\
    'classify:--mean'|\
    'classify:--std'|\
    'classify:-t'|\
    'classify:--threads'|\
    'classify:--max-memory'|\
    'classify:--max-operations'|\
    'stream:--nv12'|\
    'stream:--every'|\
    'stream:--stride'|\
    'stream:-k'|\
    'stream:--top'|\
    'stream:-s'|\
    'stream:--input-shape'|\
    'stream:--batch'|\
    'stream:--max-fold-bytes'|\
    'stream:--resize'|\
    'stream:--crop-pct'|\
    'stream:--mean'|\
    'stream:--std'|\
    'stream:-t'|\
    'stream:--threads'|\
    'stream:--max-memory'|\
    'stream:--max-operations'|\
    'info:-s'|\
    'info:--input-shape'|\
    'info:--batch'|\
    'info:--max-fold-bytes'|\
    'info:--resize'|\
    'info:--crop-pct'|\
    'info:--mean'|\
    'info:--std'|\
    'info:--max-memory'|\
    'info:--max-operations'|\
    'verify:-t'|\
    'verify:--threads'|\
    'verify:--max-memory'|\
    'verify:--max-operations'|\
    'bench:-t'|\
    'bench:--threads'|\
    'bench:-S'|\
    'bench:--sessions'|\
    'bench:-n'|\
    'bench:--frames'|\
    'bench:-s'|\
    'bench:--input-shape'|\
    'bench:--batch'|\
    'bench:--max-fold-bytes'|\
    'bench:--resize'|\
    'bench:--crop-pct'|\
    'bench:--mean'|\
    'bench:--std'|\
    'bench:--max-memory'|\
    'bench:--max-operations')
      return ;;
    'classify:-A'|\
    'classify:--annotate'|\
    'classify:-l'|\
    'classify:--labels'|\
    'stream:-l'|\
    'stream:--labels'|\
    'info:-l'|\
    'info:--labels'|\
    'bench:--float')
      compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$value")); return ;;
    'classify:-p'|\
    'classify:--preprocess'|\
    'stream:-p'|\
    'stream:--preprocess'|\
    'info:-p'|\
    'info:--preprocess'|\
    'bench:-p'|\
    'bench:--preprocess')
      COMPREPLY=($(compgen -P 'timm:' -W "$(_kitfox_run_printed "${words[0]}" zoo)" -- "${value#timm:}")); [[ $value != *:* || $COMP_WORDBREAKS != *:* ]] || COMPREPLY=("${COMPREPLY[@]#timm:}"); return ;;
    'classify:-a'|\
    'classify:--arch'|\
    'stream:-a'|\
    'stream:--arch'|\
    'info:-a'|\
    'info:--arch'|\
    'bench:-a'|\
    'bench:--arch')
      COMPREPLY=($(compgen -W "$(_kitfox_run_printed "${words[0]}" zoo)" -- "$value")); return ;;
    'classify:--scores'|\
    'stream:--scores'|\
    'info:--scores'|\
    'bench:--scores')
      COMPREPLY=($(compgen -W 'logits probabilities independent log features' -- "$value")); return ;;
    'classify:--crop-mode'|\
    'classify:--crop'|\
    'stream:--crop-mode'|\
    'stream:--crop'|\
    'info:--crop-mode'|\
    'info:--crop'|\
    'bench:--crop-mode'|\
    'bench:--crop')
      COMPREPLY=($(compgen -W 'center squash border fit-pad' -- "$value")); return ;;
    'classify:--interpolation'|\
    'stream:--interpolation'|\
    'info:--interpolation'|\
    'bench:--interpolation')
      COMPREPLY=($(compgen -W 'bilinear bicubic nearest' -- "$value")); return ;;
    'classify:--color'|\
    'stream:--color'|\
    'info:--color'|\
    'bench:--color')
      COMPREPLY=($(compgen -W 'rgb bgr gray' -- "$value")); return ;;
    'classify:--pillow'|\
    'stream:--pillow'|\
    'info:--pillow'|\
    'bench:--pillow')
      COMPREPLY=($(compgen -W 'before-13 13' -- "$value")); return ;;
    'stream:--range')
      COMPREPLY=($(compgen -W 'full limited' -- "$value")); return ;;
    'bench:-d'|\
    'bench:--data')
      compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$value")); return ;;
  esac
  if [[ $cur == -* ]]; then
    case "$verb" in
      'classify') opts='-k --top -A --annotate --no-exif --max-pixels --strict -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --help' ;;
      'stream') opts='--nv12 --range --every --stride -k --top -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --help' ;;
      'info') opts='-N --nodes --cpus -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -j --json --max-memory --max-operations --help' ;;
      'verify') opts='-t --threads -j --json --max-memory --max-operations --help' ;;
      'bench') opts='-t --threads -S --sessions -n --frames --profile --table --float -d --data --rdk -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -j --json --max-memory --max-operations --help' ;;
    esac
    COMPREPLY=($(compgen -W "$opts" -- "$cur"))
    return
  fi
  case "$verb" in
    zoo) ;;
    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -F _kitfox_run kitfox-run
