module nothing

go 1.20
