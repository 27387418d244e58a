module layoutsprogram

go 1.20
