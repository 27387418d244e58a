module changed

go 1.20
