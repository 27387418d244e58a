module neighbours

go 1.22
