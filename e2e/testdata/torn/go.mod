module torn

go 1.26
