module kinds

go 1.20
