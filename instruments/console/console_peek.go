package console

import (
	"context"
	"regexp"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/instruments/host"
	"ri/instruments/looks"
)

// To complete what stands before a dot it is evaluated. It may begin with a name that the same command gives to
// something, in a loop or as a local. Then what has been typed so far is made a program that returns it in the first
// turn of the loop.

var (
	loopHead   = regexp.MustCompile(`\bfor\s+([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s+in\s`)
	countHead  = regexp.MustCompile(`\bfor\s+([A-Za-z_]\w*)\s*=\s*([^,]+),`)
	assignment = regexp.MustCompile(`(?:^|[\s;])(?:local\s+)?([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*=\s*([^=\s])`)
	loopDo     = regexp.MustCompile(`\bdo\b`)
	rootName   = regexp.MustCompile(`^[^A-Za-z_]*([A-Za-z_]\w*)`)
)

// withBindings is a program that returns base, "" where base begins with no name that the text gives to something.
func (c *Console) withBindings(text, base string) string {
	root := rootName.FindStringSubmatch(base)
	if root == nil {
		return ""
	}
	masked := maskStrings(text)
	bound := false
	names := func(list string) string {
		for name := range strings.SplitSeq(list, ",") {
			bound = bound || strings.TrimSpace(name) == root[1]
		}
		return list
	}
	isType := func(name string) bool { _, err := c.session.File.Type(name); return err == nil }
	code := func(from, to int) string { return goCalls(text[from:to], c.host.Left, isType) }
	var out strings.Builder
	loops, at := 0, 0
	for at < len(masked) {
		loop, count, assign := loopHead.FindStringSubmatchIndex(masked[at:]),
			countHead.FindStringSubmatchIndex(masked[at:]), assignment.FindStringSubmatchIndex(masked[at:])
		first := func(m []int, others ...[]int) bool {
			for _, o := range others {
				if m == nil || o != nil && o[0] < m[0] {
					return false
				}
			}
			return m != nil
		}
		switch {
		case first(loop, count, assign):
			from := at + loop[1]
			do := loopDo.FindStringIndex(masked[from:])
			if do == nil {
				at = len(masked)
				break
			}
			out.WriteString("for " + names(masked[at+loop[2]:at+loop[3]]) + " in " + code(from, from+do[0]) + " do ")
			loops++
			at = from + do[1]
		case first(count, loop, assign) || count != nil && assign != nil && first(count, loop): // for i = 1, 2
			out.WriteString("local " + names(masked[at+count[2]:at+count[3]]) + " = " + code(at+count[4], at+count[5]) + " ")
			at += count[1]
		case assign != nil:
			from := at + assign[4]
			to := from + chainLength(masked[from:])
			if to < len(masked) && to > from {
				out.WriteString("local " + names(masked[at+assign[2]:at+assign[3]]) + " = " + code(from, to) + " ")
			}
			at = max(to, from+1)
		default:
			at = len(masked)
		}
	}
	if !bound {
		return ""
	}
	return out.String() + "return " + code(0, 0) + goCalls(base, c.host.Left, isType) + strings.Repeat(" end", loops)
}

// loopOver is what the loop goes through that gives the elements a name: x in for _, name in ri.pairs(x) do.
func loopOver(text, name string) string {
	masked := maskStrings(text)
	for _, m := range slices.Backward(loopHead.FindAllStringSubmatchIndex(masked, -1)) {
		_, second, _ := strings.Cut(masked[m[2]:m[3]], ",")
		do := loopDo.FindStringIndex(masked[m[1]:])
		if strings.TrimSpace(second) != name || do == nil {
			continue
		}
		if over, ok := strings.CutPrefix(strings.TrimSpace(text[m[1]:m[1]+do[0]]), "ri.pairs("); ok {
			return strings.TrimSuffix(over, ")")
		}
	}
	return ""
}

// chainLength is how long the expression is that a text, without what is in its strings, begins with: names, dots,
// indexes, calls; 0 where it is something else.
func chainLength(masked string) int {
	depth, i := 0, 0
	for ; i < len(masked); i++ {
		switch b := masked[i]; {
		case b == '(' || b == '[' || b == '{':
			depth++
		case b == ')' || b == ']' || b == '}':
			if depth--; depth < 0 {
				return i
			}
		case b == '"' || b == '\'':
			end := strings.IndexByte(masked[i+1:], b)
			if end < 0 {
				return 0
			}
			i += end + 1
		case depth > 0 || isWordByte(b) || b == '.' || b == ':':
		case b == ' ' && i+1 < len(masked) && strings.IndexByte(`'"`, masked[i+1]) >= 0: // f 'text'
		case strings.IndexByte(" \t\n;,", b) >= 0:
			return i
		default:
			return 0
		}
	}
	return i
}

// peekAt evaluates what a line ends with, and gives the first of its values; nil where it has none. What loops and
// locals of the line give to names is what they give them first.
func (c *Console) peekAt(before, line, base string, f func(lua.LValue)) {
	if text := c.withBindings(before+line, base); text != "" {
		if script, err := host.CompileExpression("shell", text); err == nil {
			c.peek(script, f)
		}
		return
	}
	if typed, err := c.compile(base); err == nil {
		c.peek(typed.script, f)
	}
}

// peek evaluates on memory as it is now, and gives what came out; nothing of it stays.
func (c *Console) peek(script *host.Script, f func(lua.LValue)) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	kept := c.held.Load()
	if kept == nil {
		view, err := c.session.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
		if err != nil {
			return
		}
		defer view.Close()
		l := &looks.Look{Target: c.session.Target, Options: attach.ViewOptions{Kind: attach.Live}}
		l.Cache, l.Space = c.session.Memory()
		l.See(view)
	}
	finished := make(chan error, 1)
	var value lua.LValue = lua.LNil
	go func() {
		finished <- host.Safely(func() error {
			return c.runLine(ctx, script, nil, host.Discard{}, func(results []lua.LValue) {
				if len(results) > 0 {
					value = results[0]
				}
			})
		})
	}()
	if !host.WaitFor(finished, completionTime+host.Grace) {
		c.Release()
		c.restart()
		return
	}
	_ = host.Safely(func() error { f(value); return nil })
}
