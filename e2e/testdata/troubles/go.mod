module troubles

go 1.20
