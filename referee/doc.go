// Package referee is Delve. Over ri's views it is an independent reader of the same bytes: it tells whether ri can be
// believed on a program ([Verify], which ri doctor --verify prints), and the tests compare with it. On a copy of a
// process it is a debugger that can only read ([Terminal], [Serve]: ri dlv).
//
// It is the only package that imports Delve; the tests of others may. What may not come in: Lua, recipes, rows, ptrace.
package referee
