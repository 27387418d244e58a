module crash

go 1.20
