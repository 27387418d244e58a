package commands

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
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

// errQuit ends what is refreshed: somebody has typed q.
var errQuit = errors.New("q was typed")

// quits ends a context with errQuit when q is typed on the terminal. end gives the terminal back as it was. Ctrl-C
// stays a signal; of a process in the background nothing is read.
func (s *screen) quits(ctx context.Context) (quitting context.Context, end func()) {
	none := func() {}
	fd := int(os.Stdin.Fd())
	if _, _, ok := s.room(); !ok || !term.IsTerminal(fd) {
		return ctx, none
	}
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return ctx, none
	}
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return ctx, none
	}
	keys := *was
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(fd, unix.TCSETS, &keys) != nil {
		return ctx, none
	}
	quitting, cancel := context.WithCancelCause(ctx)
	go func() { // until ri ends: a read of a terminal can't be called off
		key := make([]byte, 1)
		for {
			if n, err := os.Stdin.Read(key); err != nil || n == 0 {
				return
			}
			if key[0] == 'q' || key[0] == 'Q' {
				cancel(errQuit)
				return
			}
		}
	}()
	return quitting, func() {
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, was)
		cancel(nil)
	}
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
