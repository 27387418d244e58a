package compile

import (
	"time"

	"ri/values"
)

// Kept reads expressions over hits that were kept: what names stand for is what each of them took along.
type Kept struct {
	when  []*after
	exprs []*after // to be shown
}

// ReadKept reads conditions and what is to be shown. pkg is the package whose types and constants need no package; in
// is a space of the same program. Errors: values.ErrExpr.
func ReadKept(in *values.Space, pkg string, when, show []string) (*Kept, error) {
	scope := &Scope{Space: in, Package: pkg}
	read := func(texts []string) (out []*after, err error) {
		for _, text := range texts {
			c, err := scope.compilerOf(text, false)
			if err != nil {
				return nil, err
			}
			out = append(out, &after{c, text})
		}
		return out, nil
	}
	k := &Kept{}
	var err error
	if k.when, err = read(when); err == nil {
		k.exprs, err = read(show)
	}
	return k, err
}

// decider is for one hit: what it took along, and how long it took, -1 if that isn't known.
func (k *Kept) decider(in *values.Space, took []Value, length time.Duration) *decider {
	d := &decider{names: map[string]any{}, errs: map[string]error{}, space: in, took: length}
	for _, v := range took {
		if v.Err != nil {
			d.errs[v.Name] = v.Err
		} else {
			d.names[v.Name] = v.Value
		}
	}
	return d
}

// Decide tells whether all conditions hold for a hit. undecided is why it can't be told, and is nil otherwise.
func (k *Kept) Decide(in *values.Space, took []Value, length time.Duration) (holds bool, undecided error) {
	return k.decider(in, took, length).all(k.when)
}

// Show gives what the expressions stand for in a hit.
func (k *Kept) Show(in *values.Space, took []Value, length time.Duration) (out []Value) {
	d := k.decider(in, took, length)
	for _, e := range k.exprs {
		d.after = e
		v := Value{Name: e.source}
		if v.Err = d.errs[e.source]; v.Err == nil {
			if whole, ok := d.names[e.source].(values.Value); ok {
				v.Value = whole
			} else {
				v.Plain, v.Value, v.Err = d.evaluate(e.src.Tree)
			}
		}
		if v.Err == nil && v.Plain == nil && !v.Value.IsValid() {
			v.Err = values.ErrExpr
		}
		out = append(out, v)
	}
	return out
}
