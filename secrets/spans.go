package secrets

// Spans are the places in a text of keys of known forms and of passwords in URLs, as [Text] masks them, in order of
// the forms. What follows a secret's name isn't among them.
func Spans(text []byte) (out [][2]int) {
	if len(text) < 8 {
		return nil
	}
	for _, p := range patterns {
		if p.is != nil || !p.mayBytes(text) {
			continue
		}
		for _, m := range p.form.FindAllSubmatchIndex(text, -1) {
			groups := len(m)/2 - 1
			from, to := m[3], m[2*groups]
			if from >= 0 && to >= from {
				out = append(out, [2]int{from, to})
			}
		}
	}
	return out
}
