package looks

import (
	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/recipes"
)

// Explore opens what an exploring command looks at, and says how it looks.
func Explore(name string, how Options, choice TargetChoice) (*Session, *Plan, error) {
	plan, err := ExplorePlan(name, how)
	if err != nil {
		return nil, nil, err
	}
	s, err := OpenSession(choice)
	if err != nil {
		return nil, nil, err
	}
	if err := s.NeedSymbols(); err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, plan, nil
}

// ExplorePlan is the plan of a look that runs no script.
func ExplorePlan(name string, how Options) (*Plan, error) {
	return NewPlan(&recipes.Catalogue{}, &recipes.Recipe{Name: name, Mode: recipes.Read}, &host.Script{}, lang.Params{},
		how)
}

// CountValues notes, when what it gives is called, how many values the look has read since.
func CountValues(look *Look) func() {
	before := look.Space.Values()
	return func() { look.Values = look.Space.Values() - before }
}
