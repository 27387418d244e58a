module plug
go 1.26
