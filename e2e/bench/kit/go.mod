module kubic.io/mirrors/e2e/bench/kit

go 1.26
