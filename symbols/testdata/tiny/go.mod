module tiny

go 1.20
