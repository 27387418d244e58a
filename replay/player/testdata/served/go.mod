module served

go 1.20
