# bash completion of sluice. What can come next is asked of the program itself: `sluice complete`.
_sluice() {
    local word=${COMP_WORDS[COMP_CWORD]} candidate
    COMPREPLY=()
    [ "$word" = = ] && word=
    while IFS=$'\t' read -r candidate _; do
        case $candidate in
            :files) compopt -o filenames 2>/dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
            :dirs) compopt -o filenames 2>/dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word") ;;
            *) COMPREPLY+=("$(printf %q "$candidate")") ;;
        esac
    done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _sluice sluice
