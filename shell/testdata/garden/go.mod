module garden

go 1.20
