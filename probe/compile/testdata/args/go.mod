module args

go 1.20
