package lang

import (
	"fmt"
	"strings"

	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// maxPending is how many brackets, blocks and operators may wait for their end at once. Lua itself has the same bound
// (LUAI_MAXCCALLS). gopher-lua's parser keeps some kilobytes for each, and has no bound of its own.
const maxPending = 200

// tooDeep goes through the tokens of a source before it is parsed, and refuses one that would have the parser keep too
// much. Mistakes are the parser's to tell.
func tooDeep(path, source string) error {
	scanner, lexer := parse.NewScanner(strings.NewReader(source), path), &parse.Lexer{}
	levels := []int{0} // of each bracket and block: the operators that wait for their right side
	pending := 0       // in all
	for {
		token, err := scanner.Scan(lexer)
		if err != nil || token.Type == parse.EOF {
			return nil
		}
		unary := !endsOperand(lexer.PrevTokenType)
		lexer.PrevTokenType = token.Type
		here := &levels[len(levels)-1]
		switch token.Type {
		case '(', '{', '[', parse.TFunction, parse.TDo, parse.TIf, parse.TRepeat:
			levels = append(levels, 0)
			pending++
		case ')', '}', ']', parse.TEnd, parse.TUntil:
			if len(levels) > 1 {
				pending -= 1 + *here
				levels = levels[:len(levels)-1]
			}
		case '^', parse.T2Comma, parse.TNot, '#', '-':
			if token.Type != '-' || unary { // a - b - c is taken from the left
				*here++
				pending++
			}
		case ',', ';', '=', parse.TLocal, parse.TReturn, parse.TThen, parse.TElse, parse.TElseIf, parse.TAnd, parse.TOr:
			pending -= *here
			*here = 0
		}
		if pending > maxPending {
			return deepError(path, token)
		}
	}
}

// endsOperand tells whether an operand may end with a token, so that a minus behind it has two sides.
func endsOperand(token int) bool {
	switch token {
	case parse.TIdent, parse.TNumber, parse.TString, parse.TNil, parse.TTrue, parse.TFalse, parse.T3Comma, ')', ']', '}',
		parse.TEnd:
		return true
	}
	return false
}

func deepError(path string, at ast.Token) error {
	return &ScriptError{File: path, Line: at.Pos.Line, Message: fmt.Sprintf(
		"%s:%d: more than %d brackets, blocks and operators are open here: the script is nested too deeply",
		path, at.Pos.Line, maxPending)}
}
