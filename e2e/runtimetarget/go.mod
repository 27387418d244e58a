module runtimetarget

go 1.20
