module calls

go 1.20
