module steps

go 1.20
