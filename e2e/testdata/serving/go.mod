module serving

go 1.22
