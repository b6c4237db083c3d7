# Usage: zsh -f zsh_capture.zsh FOLDER LINE: what zsh offers for the line with the completions of FOLDER, one a line.
# An interactive zsh runs in a terminal of its own; compadd prints there what it gets.
zmodload zsh/zpty || exit 77
setup=$(mktemp)
cat > $setup <<'END'
PROMPT=
autoload -U compinit
compinit -u -D
bindkey '^M' undefined
bindkey '^J' undefined
bindkey '^I' complete-word
edge() { echo -E - $'\0' }
compprefuncs=(edge)
comppostfuncs=(edge exit)
zstyle ':completion:*' insert-tab false
zstyle ':completion:*' list-separator ''
zmodload zsh/zutil
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
    builtin compadd "$@"
    return $?
  fi
  typeset -a hits prefix hidden
  builtin compadd -A hits "$@"
  zparseopts -E P:=prefix p:=hidden
  local hit
  for hit in $hits; do echo -E - "$prefix[2]$hidden[2]$hit"; done
  builtin compadd "$@"
}
echo ready
END
zpty z "zsh -f -i"
zpty -w z "fpath=(${(q)1} \$fpath); source $setup"
repeat 20; do
  zpty -r z line
  [[ $line == ready* ]] && break
done
zpty -w z "$2"$'\t'
integer edges=0
while zpty -r z; do :; done | while IFS= read -r line; do
  if [[ $line == *$'\0'* ]]; then
    (( edges++ )) && break
    continue
  fi
  (( edges )) && print -r -- "${line%$'\r'}"
done
rm -f $setup
