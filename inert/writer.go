package inert

import (
	"io"
	"os"
)

// Writer is the way out for what people read: whatever is written to it arrives as [Styled] has it. Each call writes
// whole characters.
type Writer struct {
	w     io.Writer
	style func(string) string // which sequences stay
	// As has what is written be said otherwise first; nil: as it is.
	As func(string) string
}

// NewWriter makes w harmless. A Writer stays the one that it is.
func NewWriter(w io.Writer) *Writer {
	if already, ok := w.(*Writer); ok {
		return already
	}
	return &Writer{w: w, style: colourAt}
}

// NewColourWriter is NewWriter for what another program writes, in colours of its own.
func NewColourWriter(w io.Writer) *Writer { return &Writer{w: w, style: anyColourAt} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	text := string(p)
	if w.As != nil {
		text = w.As(text)
	}
	if _, err := io.WriteString(w.w, escape(text, "\t\n", w.style)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Control writes what a terminal is to obey: constants of ri's own.
func (w *Writer) Control(sequence string) error {
	_, err := io.WriteString(w.w, sequence)
	return err
}

// File is the file behind the writer, for who asks whether it is a terminal; nil if there is none.
func (w *Writer) File() *os.File {
	f, _ := w.w.(*os.File)
	return f
}
