package values

type spaceInternal struct{}
type goroutineInternal struct{}
type frameInternal struct{}
