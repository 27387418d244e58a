module heap

go 1.20
