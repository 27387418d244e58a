module invariants

go 1.20
