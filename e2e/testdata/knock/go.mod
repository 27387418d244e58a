module knock

go 1.22
