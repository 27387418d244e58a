module waiting

go 1.20
