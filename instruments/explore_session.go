package instruments

// explore opens what an exploring command looks at, and says how it looks.
func explore(name string, how Look, choice TargetChoice) (*Session, *Plan, error) {
	plan, err := newPlan(&Catalogue{}, &Recipe{Name: name, Mode: Read}, &Script{}, Params{}, how)
	if err != nil {
		return nil, nil, err
	}
	s, err := OpenSession(choice)
	if err != nil {
		return nil, nil, err
	}
	if err := s.needSymbols(); err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, plan, nil
}

// countValues notes, when what it gives is called, how many values the look has read since.
func countValues(look *look) func() {
	before := look.space.Values()
	return func() { look.values = look.space.Values() - before }
}
