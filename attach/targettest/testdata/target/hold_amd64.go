package main

// hold fills the registers, keeps them for so many rounds, and says whether they are the same.
func hold(rounds int) bool
