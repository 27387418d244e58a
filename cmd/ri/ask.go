package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

// terminal asks the person at the keyboard.
type terminal struct{}

// asker is who can be asked; nil where nobody is at a terminal.
func asker() looks.Asker {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	return terminal{}
}

// MayChange shows what is to be changed and waits for a yes.
func (terminal) MayChange(ctx context.Context, target string, t *rows.TransactionReport) (bool, error) {
	return confirmed(ctx, t.Question(target))
}

// MayForget says what is lost and waits for a yes.
func (terminal) MayForget(ctx context.Context, journal string, transactions int) (bool, error) {
	return confirmed(ctx, fmt.Sprintf("Transactions that would be forgotten, and could no longer be undone: %d of "+
		"%s. Forget them?", transactions, inert.Line(journal)))
}

// confirmed asks, and waits for an answer.
func confirmed(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(stderr, "%s [y/N] ", question)
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, a.err
		}
		line := strings.ToLower(strings.TrimSpace(a.line))
		return line == "y" || line == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(stderr)
		return false, context.Cause(ctx)
	}
}
