module ri

go 1.25.0
