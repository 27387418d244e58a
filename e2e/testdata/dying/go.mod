module dying

go 1.22
