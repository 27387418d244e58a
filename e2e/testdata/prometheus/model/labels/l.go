package labels

type Label struct{ Name, Value string }
type Labels []Label
