module eintr

go 1.22
