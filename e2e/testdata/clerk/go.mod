module example.com/clerk

go 1.26
