module outgoing

go 1.22
