module tortured

go 1.20
