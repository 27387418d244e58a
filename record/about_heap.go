package record

import "ri/record/format"

// heapAnswers writes what was asked of the heap. A look may still be asked when it is over.
func (m *maker) heapAnswers() error {
	for i, answers := range m.answers {
		if answers.Asked() == 0 {
			continue
		}
		if err := m.block(format.HeapBlock(i+1), answers); err != nil {
			return err
		}
	}
	return nil
}
