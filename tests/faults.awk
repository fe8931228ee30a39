# docs/faults.md, then what `cargo test` printed: a line for each id with its tries and failures.
# Ends with 1 if any failed or an id has a test and none of its tests ran.

FNR == NR {
    if ($0 !~ /^\| [EDOS][0-9][0-9] \|/) next
    split($0, cell, "|")
    id = cell[2]; gsub(/ /, "", id)
    # What is said of it further down is no other one.
    if (id in why) next
    ids[++count] = id
    why[id] = cell[6]
    text = cell[5]
    while (match(text, /`[a-z0-9_]+`/)) {
        name = substr(text, RSTART + 1, RLENGTH - 2)
        tests[id] = tests[id] " " name
        text = substr(text, RSTART + RLENGTH)
    }
    next
}
/TRIES [a-z0-9_]+ [0-9]+/ {
    match($0, /TRIES [a-z0-9_]+ [0-9]+/)
    split(substr($0, RSTART, RLENGTH), word, " ")
    tries[word[2]] = word[3]
}
/MEASURED: / { sub(/.*MEASURED: /, ""); seen[$0] = 1 }
/NOT RUN: / { sub(/.*NOT RUN: /, ""); skipped[$0] = 1 }
/^test .* \.\.\. / {
    name = $2
    sub(/.*::/, "", name)
    ran[name]++
    if ($0 ~ /FAILED/) failed[name]++
}
# Another thread's line may come between a test's name and its answer.
/^    [a-z0-9_:]+$/ {
    name = $1
    sub(/.*::/, "", name)
    if (is_list) failed[name] = 1
}
/^failures:$/ { is_list = 1 }
/^test result:/ { is_list = 0 }

END {
    printf "%-4s %10s %9s\n", "id", "tries", "failures"
    for (i = 1; i <= count; i++) {
        id = ids[i]
        if (tests[id] == "") {
            printf "%-4s %10s %9s %s\n", id, "-", "-", why[id]
            continue
        }
        n = split(tests[id], its, " ")
        all = 0; bad = 0
        for (j = 1; j <= n; j++) {
            all += ran[its[j]] ? (its[j] in tries ? tries[its[j]] : ran[its[j]]) : 0
            bad += failed[its[j]]
        }
        if (all == 0) bad++
        printf "%-4s %10d %9d%s\n", id, all, bad, all == 0 ? " none of its tests ran" : ""
        sum += bad
    }
    fflush()
    for (what in seen) print "measured: " what | "sort"
    close("sort")
    for (what in skipped) print "not run: " what
    exit sum ? 1 : 0
}
