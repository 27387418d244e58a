package commands

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"ri/inert"
	"ri/instruments/rows"
)

// screen is a terminal on which something is refreshed in place.
type screen struct {
	out  *rows.Output
	on   bool // the terminal's other screen is in use
	last string
}

// room is how the terminal shows tables, and how many lines it has. False: results don't go to a terminal, or to one
// on which nothing can be refreshed.
func (s *screen) room() (style rows.TableStyle, height int, ok bool) {
	style = s.out.Style()
	if style.Width == 0 || !term.IsTerminal(int(s.out.Stdout.Fd())) || os.Getenv("TERM") == "dumb" {
		return style, 0, false
	}
	_, height, err := term.GetSize(int(s.out.Stdout.Fd()))
	if err != nil || height < 5 {
		height = 24
	}
	return style, height, true
}

// draw shows a line and what stands below it, in the place of what was there.
func (s *screen) draw(head, body string, style rows.TableStyle) error {
	s.last = inert.Styled(cutLine(inert.Cell(head), style.Width) + "\n" + body)
	return s.out.Write(func(w io.Writer) error {
		if !s.on {
			s.on = true
			if _, err := io.WriteString(w, "\x1b[?1049h"); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "\x1b[H"+strings.ReplaceAll(s.last, "\n", "\x1b[K\n")+"\x1b[J")
		return err
	})
}

// leave gives the terminal back, with what was shown last on it.
func (s *screen) leave() {
	if s.on {
		s.on = false
		_ = s.out.Write(func(w io.Writer) error { _, err := io.WriteString(w, "\x1b[?1049l"+s.last); return err })
	}
}
