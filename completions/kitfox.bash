# bash completion for kitfox. Made by tools/make_manuals.py from the tables of options of the program: do not edit.

_kitfox_printed() { # the first column of what the program prints for these words
  "$1" "${@:2}" 2>/dev/null | awk '$1 != "name" { print $1 }'
}

_kitfox() {
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
    COMPREPLY=($(compgen -W 'classify stream run info import check simplify export quantize compare eval verify serve zoo bench pull rdk --help --version' -- "$cur"))
    return
  fi
  if [ "$verb" = rdk ]; then
    if [ "$cword" -eq 2 ] && [[ $cur != -* ]]; then
      COMPREPLY=($(compgen -W 'hb_mapper hrt_model_exec hb_perf' -- "$cur"))
      return
    fi
    case "${words[2]}" in
      hb_mapper)
        if [ "$cword" -eq 3 ]; then
          COMPREPLY=($(compgen -W 'checker makertbin' -- "$cur"))
          return
        fi
        verb="hb_mapper ${words[3]}" ;;
      hrt_model_exec)
        if [ "$cword" -eq 3 ]; then
          COMPREPLY=($(compgen -W 'model_info infer perf' -- "$cur"))
          return
        fi
        verb="hrt_model_exec ${words[3]}" ;;
      hb_perf) verb='hb_perf' ;;
    esac
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
    'run:-s'|\
    'run:--input-shape'|\
    'run:--batch'|\
    'run:--max-fold-bytes'|\
    'run:--resize'|\
    'run:--crop-pct'|\
    'run:--mean'|\
    'run:--std'|\
    'run:-t'|\
    'run:--threads'|\
    'run:--max-memory'|\
    'run:--max-operations'|\
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
    'import:-s'|\
    'import:--input-shape'|\
    'import:--batch'|\
    'import:--max-fold-bytes'|\
    'import:--resize'|\
    'import:--crop-pct'|\
    'import:--mean'|\
    'import:--std'|\
    'check:--nv12'|\
    'check:-s'|\
    'check:--input-shape'|\
    'check:--batch'|\
    'check:--max-fold-bytes'|\
    'check:--resize'|\
    'check:--crop-pct'|\
    'check:--mean'|\
    'check:--std'|\
    'simplify:--check'|\
    'simplify:-s'|\
    'simplify:--input-shape'|\
    'simplify:--max-fold-bytes'|\
    'export:--check'|\
    'export:-s'|\
    'export:--input-shape'|\
    'export:--max-fold-bytes'|\
    'quantize:--max-percentile'|\
    'quantize:--int16'|\
    'quantize:-s'|\
    'quantize:--input-shape'|\
    'quantize:--batch'|\
    'quantize:--max-fold-bytes'|\
    'quantize:--resize'|\
    'quantize:--crop-pct'|\
    'quantize:--mean'|\
    'quantize:--std'|\
    'quantize:-t'|\
    'quantize:--threads'|\
    'quantize:--max-memory'|\
    'quantize:--max-operations'|\
    'quantize:--target-drop'|\
    'quantize:--target-cosine'|\
    'quantize:--max-int16-macs'|\
    'quantize:--int16-output'|\
    'quantize:--int16-weights'|\
    'quantize:--limit'|\
    'quantize:--max-pixels'|\
    'compare:--node-images'|\
    'compare:-s'|\
    'compare:--input-shape'|\
    'compare:--batch'|\
    'compare:--max-fold-bytes'|\
    'compare:--resize'|\
    'compare:--crop-pct'|\
    'compare:--mean'|\
    'compare:--std'|\
    'compare:-t'|\
    'compare:--threads'|\
    'compare:--max-memory'|\
    'compare:--max-operations'|\
    'compare:--limit'|\
    'compare:--max-pixels'|\
    'eval:-s'|\
    'eval:--input-shape'|\
    'eval:--batch'|\
    'eval:--max-fold-bytes'|\
    'eval:--resize'|\
    'eval:--crop-pct'|\
    'eval:--mean'|\
    'eval:--std'|\
    'eval:-t'|\
    'eval:--threads'|\
    'eval:--max-memory'|\
    'eval:--max-operations'|\
    'eval:--limit'|\
    'eval:--max-pixels'|\
    'verify:-t'|\
    'verify:--threads'|\
    'verify:--max-memory'|\
    'verify:--max-operations'|\
    'serve:-P'|\
    'serve:--port'|\
    'serve:--listen'|\
    'serve:--host'|\
    'serve:--user'|\
    'serve:--queue'|\
    'serve:--timeout'|\
    'serve:--max-body'|\
    'serve:--max-pixels'|\
    'serve:--max-connections'|\
    'serve:--max-per-address'|\
    'serve:--header-timeout'|\
    'serve:--body-timeout'|\
    'serve:--idle-timeout'|\
    'serve:--drain'|\
    'serve:-s'|\
    'serve:--input-shape'|\
    'serve:--batch'|\
    'serve:--max-fold-bytes'|\
    'serve:--resize'|\
    'serve:--crop-pct'|\
    'serve:--mean'|\
    'serve:--std'|\
    'serve:-t'|\
    'serve:--threads'|\
    'serve:--max-memory'|\
    'serve:--max-operations'|\
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
    'bench:--max-operations'|\
    'pull:--mirror'|\
    'pull:--retries'|\
    'pull:--wait'|\
    'pull:--timeout'|\
    'pull:--slowest'|\
    'pull:--sha256'|\
    'hb_mapper checker:--model-type'|\
    'hb_mapper checker:--march'|\
    'hb_mapper checker:--proto'|\
    'hb_mapper checker:--input-shape'|\
    'hb_mapper makertbin:--model-type'|\
    'hb_mapper makertbin:--march'|\
    'hb_mapper makertbin:--proto'|\
    'hrt_model_exec model_info:--model_name'|\
    'hrt_model_exec model_info:--core_id'|\
    'hrt_model_exec model_info:--roi'|\
    'hrt_model_exec model_info:--frame_count'|\
    'hrt_model_exec model_info:--dump_intermediate'|\
    'hrt_model_exec model_info:--dump_precision'|\
    'hrt_model_exec model_info:--dump_format'|\
    'hrt_model_exec model_info:--dump_txt_axis'|\
    'hrt_model_exec model_info:--perf_time'|\
    'hrt_model_exec model_info:--thread_num'|\
    'hrt_model_exec infer:--model_name'|\
    'hrt_model_exec infer:--core_id'|\
    'hrt_model_exec infer:--roi'|\
    'hrt_model_exec infer:--frame_count'|\
    'hrt_model_exec infer:--dump_intermediate'|\
    'hrt_model_exec infer:--dump_precision'|\
    'hrt_model_exec infer:--dump_format'|\
    'hrt_model_exec infer:--dump_txt_axis'|\
    'hrt_model_exec infer:--perf_time'|\
    'hrt_model_exec infer:--thread_num'|\
    'hrt_model_exec perf:--model_name'|\
    'hrt_model_exec perf:--core_id'|\
    'hrt_model_exec perf:--roi'|\
    'hrt_model_exec perf:--frame_count'|\
    'hrt_model_exec perf:--dump_intermediate'|\
    'hrt_model_exec perf:--dump_precision'|\
    'hrt_model_exec perf:--dump_format'|\
    'hrt_model_exec perf:--dump_txt_axis'|\
    'hrt_model_exec perf:--perf_time'|\
    'hrt_model_exec perf:--thread_num'|\
    'hb_perf:-p'|\
    'hb_perf:--pack')
      return ;;
    'classify:-A'|\
    'classify:--annotate'|\
    'classify:-l'|\
    'classify:--labels'|\
    'stream:-l'|\
    'stream:--labels'|\
    'run:-o'|\
    'run:--output'|\
    'info:-l'|\
    'info:--labels'|\
    'import:-o'|\
    'import:--output'|\
    'import:-l'|\
    'import:--labels'|\
    'check:--frames'|\
    'check:-l'|\
    'check:--labels'|\
    'simplify:-o'|\
    'simplify:--output'|\
    'export:-o'|\
    'export:--output'|\
    'quantize:-o'|\
    'quantize:--output'|\
    'quantize:--report'|\
    'quantize:-l'|\
    'quantize:--labels'|\
    'quantize:-L'|\
    'quantize:--list'|\
    'compare:--report'|\
    'compare:-l'|\
    'compare:--labels'|\
    'compare:-L'|\
    'compare:--list'|\
    'eval:--predictions'|\
    'eval:--confusion'|\
    'eval:-l'|\
    'eval:--labels'|\
    'eval:-L'|\
    'eval:--list'|\
    'serve:--token-file'|\
    'serve:--tls-cert'|\
    'serve:--tls-key'|\
    'serve:-l'|\
    'serve:--labels'|\
    'bench:--float'|\
    'pull:-o'|\
    'pull:--output'|\
    'hb_mapper checker:--model'|\
    'hb_mapper checker:--output'|\
    'hb_mapper makertbin:--model'|\
    'hb_mapper makertbin:-c'|\
    'hb_mapper makertbin:--config'|\
    'hrt_model_exec model_info:--model_file'|\
    'hrt_model_exec model_info:--input_file'|\
    'hrt_model_exec model_info:--profile_path'|\
    'hrt_model_exec infer:--model_file'|\
    'hrt_model_exec infer:--input_file'|\
    'hrt_model_exec infer:--profile_path'|\
    'hrt_model_exec perf:--model_file'|\
    'hrt_model_exec perf:--input_file'|\
    'hrt_model_exec perf:--profile_path'|\
    'hb_perf:-m'|\
    'hb_perf:--model')
      compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$value")); return ;;
    'classify:-p'|\
    'classify:--preprocess'|\
    'stream:-p'|\
    'stream:--preprocess'|\
    'run:-p'|\
    'run:--preprocess'|\
    'info:-p'|\
    'info:--preprocess'|\
    'import:-p'|\
    'import:--preprocess'|\
    'check:-p'|\
    'check:--preprocess'|\
    'quantize:-p'|\
    'quantize:--preprocess'|\
    'compare:-p'|\
    'compare:--preprocess'|\
    'eval:-p'|\
    'eval:--preprocess'|\
    'serve:-p'|\
    'serve:--preprocess'|\
    'bench:-p'|\
    'bench:--preprocess')
      COMPREPLY=($(compgen -P 'timm:' -W "$(_kitfox_printed "${words[0]}" zoo)" -- "${value#timm:}")); [[ $value != *:* || $COMP_WORDBREAKS != *:* ]] || COMPREPLY=("${COMPREPLY[@]#timm:}"); return ;;
    'classify:-a'|\
    'classify:--arch'|\
    'stream:-a'|\
    'stream:--arch'|\
    'run:-a'|\
    'run:--arch'|\
    'info:-a'|\
    'info:--arch'|\
    'import:-a'|\
    'import:--arch'|\
    'check:-a'|\
    'check:--arch'|\
    'simplify:-a'|\
    'simplify:--arch'|\
    'export:-a'|\
    'export:--arch'|\
    'quantize:-a'|\
    'quantize:--arch'|\
    'compare:-a'|\
    'compare:--arch'|\
    'eval:-a'|\
    'eval:--arch'|\
    'serve:-a'|\
    'serve:--arch'|\
    'bench:-a'|\
    'bench:--arch')
      COMPREPLY=($(compgen -W "$(_kitfox_printed "${words[0]}" zoo)" -- "$value")); return ;;
    'classify:--scores'|\
    'stream:--scores'|\
    'run:--scores'|\
    'info:--scores'|\
    'import:--scores'|\
    'check:--scores'|\
    'quantize:--scores'|\
    'compare:--scores'|\
    'eval:--scores'|\
    'serve:--scores'|\
    'bench:--scores')
      COMPREPLY=($(compgen -W 'logits probabilities independent log features' -- "$value")); return ;;
    'classify:--crop-mode'|\
    'classify:--crop'|\
    'stream:--crop-mode'|\
    'stream:--crop'|\
    'run:--crop-mode'|\
    'run:--crop'|\
    'info:--crop-mode'|\
    'info:--crop'|\
    'import:--crop-mode'|\
    'import:--crop'|\
    'check:--crop-mode'|\
    'check:--crop'|\
    'quantize:--crop-mode'|\
    'quantize:--crop'|\
    'compare:--crop-mode'|\
    'compare:--crop'|\
    'eval:--crop-mode'|\
    'eval:--crop'|\
    'serve:--crop-mode'|\
    'serve:--crop'|\
    'bench:--crop-mode'|\
    'bench:--crop')
      COMPREPLY=($(compgen -W 'center squash border fit-pad' -- "$value")); return ;;
    'classify:--interpolation'|\
    'stream:--interpolation'|\
    'run:--interpolation'|\
    'info:--interpolation'|\
    'import:--interpolation'|\
    'check:--interpolation'|\
    'quantize:--interpolation'|\
    'compare:--interpolation'|\
    'eval:--interpolation'|\
    'serve:--interpolation'|\
    'bench:--interpolation')
      COMPREPLY=($(compgen -W 'bilinear bicubic nearest' -- "$value")); return ;;
    'classify:--color'|\
    'stream:--color'|\
    'run:--color'|\
    'info:--color'|\
    'import:--color'|\
    'check:--color'|\
    'quantize:--color'|\
    'compare:--color'|\
    'eval:--color'|\
    'serve:--color'|\
    'bench:--color')
      COMPREPLY=($(compgen -W 'rgb bgr gray' -- "$value")); return ;;
    'classify:--pillow'|\
    'stream:--pillow'|\
    'run:--pillow'|\
    'info:--pillow'|\
    'import:--pillow'|\
    'check:--pillow'|\
    'quantize:--pillow'|\
    'compare:--pillow'|\
    'eval:--pillow'|\
    'serve:--pillow'|\
    'bench:--pillow')
      COMPREPLY=($(compgen -W 'before-13 13' -- "$value")); return ;;
    'stream:--range')
      COMPREPLY=($(compgen -W 'full limited' -- "$value")); return ;;
    'simplify:-q'|\
    'simplify:--qdq'|\
    'export:-q'|\
    'export:--qdq')
      COMPREPLY=($(compgen -W 'exact scales' -- "$value")); return ;;
    'quantize:-c'|\
    'quantize:--calib'|\
    'quantize:-d'|\
    'quantize:--data'|\
    'compare:-d'|\
    'compare:--data'|\
    'eval:-d'|\
    'eval:--data'|\
    'serve:--repository'|\
    'bench:-d'|\
    'bench:--data'|\
    'rdk:-i'|\
    'rdk:--install')
      compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$value")); return ;;
    'quantize:--method')
      COMPREPLY=($(compgen -W 'mse max percentile kl' -- "$value")); return ;;
    'serve:--log')
      COMPREPLY=($(compgen -W 'text json none' -- "$value")); return ;;
  esac
  if [[ $cur == -* ]]; then
    case "$verb" in
      'classify') opts='-k --top -A --annotate --no-exif --max-pixels --strict -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --help' ;;
      'stream') opts='--nv12 --range --every --stride -k --top -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --help' ;;
      'run') opts='-o --output -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --help' ;;
      'info') opts='-N --nodes --cpus -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -j --json --max-memory --max-operations --help' ;;
      'import') opts='-o --output -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -j --json --help' ;;
      'check') opts='--frames --nv12 -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -j --json --help' ;;
      'simplify') opts='-o --output --check -s --input-shape -a --arch --max-fold-bytes -q --qdq -j --json --help' ;;
      'export') opts='-o --output --check -s --input-shape -a --arch --max-fold-bytes -q --qdq -j --json --help' ;;
      'quantize') opts='-o --output -c --calib --method --max-percentile --int16 -N --nodes --report -d --data --no-doctor --no-per-channel --no-channel-scales --no-bias-correction --no-rounding --no-cross --no-equalize --gain -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --target-drop --target-cosine --max-int16-macs --int16-output --int16-weights -L --list --limit --max-pixels --strict --help' ;;
      'compare') opts='-d --data -N --nodes --node-images --report -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations -L --list --limit --max-pixels --strict --help' ;;
      'eval') opts='-d --data --predictions --confusion --no-doctor -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations -L --list --limit --max-pixels --strict --help' ;;
      'verify') opts='-t --threads -j --json --max-memory --max-operations --help' ;;
      'serve') opts='-P --port --listen --host --repository --repository-calls --token-file --tls-cert --tls-key --user --queue --timeout --max-body --max-pixels --max-connections --max-per-address --header-timeout --body-timeout --idle-timeout --drain --log -l --labels -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -t --threads -j --json --max-memory --max-operations --help' ;;
      'zoo') opts='-j --json --help' ;;
      'bench') opts='-t --threads -S --sessions -n --frames --profile --table --float -d --data --rdk -p --preprocess -s --input-shape --batch -a --arch --max-fold-bytes --scores --resize --bgr --crop-pct --crop-mode --crop --interpolation --color --pillow --mean --std -j --json --max-memory --max-operations --help' ;;
      'pull') opts='--mirror -o --output --list --force --retries --wait --timeout --slowest --sha256 -j --json --help' ;;
      'rdk') opts='-i --install --help' ;;
      'hb_mapper checker') opts='--model-type --march --proto --model --input-shape --output' ;;
      'hb_mapper makertbin') opts='--model-type --march --proto --model -c --config --fast-perf' ;;
      'hrt_model_exec model_info') opts='--model_file --model_name --core_id --input_file --roi_infer --roi --frame_count --dump_intermediate --enable_dump --dump_precision --hybrid_dequantize_process --dump_format --dump_txt_axis --enable_cls_post_process --perf_time --thread_num --profile_path' ;;
      'hrt_model_exec infer') opts='--model_file --model_name --core_id --input_file --roi_infer --roi --frame_count --dump_intermediate --enable_dump --dump_precision --hybrid_dequantize_process --dump_format --dump_txt_axis --enable_cls_post_process --perf_time --thread_num --profile_path' ;;
      'hrt_model_exec perf') opts='--model_file --model_name --core_id --input_file --roi_infer --roi --frame_count --dump_intermediate --enable_dump --dump_precision --hybrid_dequantize_process --dump_format --dump_txt_axis --enable_cls_post_process --perf_time --thread_num --profile_path' ;;
      'hb_perf') opts='-m --model -p --pack' ;;
    esac
    COMPREPLY=($(compgen -W "$opts" -- "$cur"))
    return
  fi
  case "$verb" in
    pull) COMPREPLY=($(compgen -W "$(_kitfox_printed "${words[0]}" pull --list)" -- "$cur")) ;;
    zoo) ;;
    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -F _kitfox kitfox
