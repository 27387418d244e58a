module places

go 1.20
